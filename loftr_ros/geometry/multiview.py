"""Points from two or more views whose poses are known, and how well they explain what was seen."""

from __future__ import annotations

import numpy as np


def triangulate(rays: np.ndarray, T_camera_world: np.ndarray) -> np.ndarray:
    """Homogeneous points (M, 4) float64 of unit length, w >= 0, in the world, from M tracks of V >= 2 views each.

    rays: (M, V, 2), x/z and y/z. T_camera_world: (M, V, 4, 4). Hartley and Zisserman, 2nd edition, section 12.2, the
    homogeneous method: the smallest singular vector of the equations x (P3 X) = P1 X, y (P3 X) = P2 X, written in the
    axes of the first camera and in units of the farthest one from it, which makes them well-conditioned. w is 0 for a
    point at infinity.
    """
    first = np.linalg.inv(T_camera_world[:, :1])
    relative = T_camera_world @ first  # takes points of the first camera to each
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
    """Directions (M, V, 3) in which the cameras (M, V, 4, 4) see homogeneous points (M, 4); z > 0: in front."""
    return np.einsum("mvij,mj->mvi", T_camera_world[:, :, :3], X)
