"""Light on faces, and the shadows of objects on the ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from flight_sim.camera import world_to_camera
from flight_sim.rendering.batches import MeshBatch
from flight_sim.rendering.canvas import NEAR_M, Canvas
from flight_sim.subpixel import SUBPIXEL_BITS, fixed_point


@dataclass(frozen=True)
class Sunlight:
    """`direction` (3,): unit vector to the sun; `share` of the light that comes from the sun, the rest from the sky."""

    direction: np.ndarray
    share: float

    def on_shaded(self, normals: np.ndarray) -> np.ndarray:
        """Brightness (...) of faces with normals (..., 3) in the shade, relative to level ground in the sun."""
        return (1.0 - self.share) * (0.62 + 0.38 * normals[..., 2])

    def on(self, normals: np.ndarray) -> np.ndarray:
        """Brightness (...) of faces with normals (..., 3) in the sun, relative to level ground in the sun."""
        direct = np.clip(normals @ self.direction, 0.0, None) / max(float(self.direction[2]), 0.35)
        return np.clip(self.on_shaded(normals) + self.share * direct, 0.12, 1.3)


def draw_shadows(canvas: Canvas, batches: Sequence[MeshBatch], light: Sunlight) -> None:
    """Darken the ground under objects in the sun; the ground texture already has the shadows of trees and buildings."""
    throw = -light.direction[:2] / light.direction[2]
    mask = np.zeros(canvas.faces.shape, np.uint8)
    for batch in batches:
        sunny = np.flatnonzero((batch.ids > 0) & ~batch.in_shade)
        if len(sunny) == 0:
            continue
        points = batch.placed(batch.mesh.hull)[sunny]
        points[..., :2] += points[..., 2:] * throw
        points[..., 2] = 0.0
        seen = world_to_camera(points, canvas.pose)
        in_front = (seen[..., 2] > NEAR_M).all(axis=1)
        for outline in fixed_point(canvas.camera.project(seen[in_front])):
            cv2.fillConvexPoly(mask, cv2.convexHull(outline), 255, cv2.LINE_AA, SUBPIXEL_BITS)
    brightness = cv2.convertScaleAbs(mask, alpha=-light.share, beta=255.0)
    cv2.multiply(canvas.image, cv2.merge([brightness] * 3), canvas.image, scale=1.0 / 255.0)
