"""Small pieces of image geometry."""

from __future__ import annotations

import numpy as np

from flight_sim.camera import PinholeCamera


def image_corners(camera: PinholeCamera) -> np.ndarray:
    """(4, 2) pixels: the corners of the image's area."""
    right, bottom = camera.width - 0.5, camera.height - 0.5
    return np.array([(-0.5, -0.5), (right, -0.5), (right, bottom), (-0.5, bottom)])


def clipped(polygon: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """The part (M, D) of a convex polygon (N, D) where plane[:-1] @ point + plane[-1] >= 0; empty if M is 0."""
    values = polygon @ plane[:-1] + plane[-1]
    if (values >= 0.0).all():
        return polygon
    kept = []
    for k in range(len(polygon)):
        a, b = values[k - 1], values[k]
        if (a >= 0.0) != (b >= 0.0):
            kept.append(polygon[k - 1] + (polygon[k] - polygon[k - 1]) * (a / (a - b)))
        if b >= 0.0:
            kept.append(polygon[k])
    return np.array(kept).reshape(-1, polygon.shape[1])


def translation(offset: np.ndarray) -> np.ndarray:
    """The homography (3, 3) that moves pixels by an offset (2,)."""
    return np.array([[1.0, 0.0, offset[0]], [0.0, 1.0, offset[1]], [0.0, 0.0, 1.0]])
