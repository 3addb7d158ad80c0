"""Triangulation of points from two or more views with known poses."""

from __future__ import annotations

import numpy as np


def triangulate(rays: np.ndarray, T_camera_world: np.ndarray) -> np.ndarray:
    """Triangulate M tracks of V >= 2 views each: homogeneous world points (M, 4) float64 of unit length, w >= 0.

    rays: (M, V, 2), x/z and y/z. T_camera_world: (M, V, 4, 4). w is 0 for a point at infinity.

    The homogeneous method of Hartley and Zisserman, 2nd edition, section 12.2: the smallest singular vector of the
    equations x (P3 X) = P1 X, y (P3 X) = P2 X. They are written in the frame of the first camera, with its distance to
    the farthest other camera as the unit of length, which makes them well-conditioned.
    """
    first = np.linalg.inv(T_camera_world[:, :1])
    relative = T_camera_world @ first  # points of the first camera to each camera
    unit = np.linalg.norm(relative[:, :, :3, 3], axis=-1).max(axis=1)
    unit = np.where(unit > 0, unit, 1.0)
    P = relative[:, :, :3].copy()
    P[..., 3] /= unit[:, None, None]
    equations = rays[..., None] * P[:, :, 2:3] - P[:, :, :2]  # (M, V, 2, 4)
    X = np.linalg.svd(equations.reshape(len(rays), 2 * rays.shape[1], 4), full_matrices=True)[2][:, -1]
    X = np.column_stack([X[:, :3] * unit[:, None], X[:, 3]])
    X = np.einsum("mij,mj->mi", first[:, 0], X)
    X = np.where(X[:, 3:] < 0, -X, X)
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def camera_points(X: np.ndarray, T_camera_world: np.ndarray) -> np.ndarray:
    """Directions (M, V, 3) of homogeneous points (M, 4) in the cameras (M, V, 4, 4); z > 0: in front of the camera."""
    return np.einsum("mvij,mj->mvi", T_camera_world[:, :, :3], X)
