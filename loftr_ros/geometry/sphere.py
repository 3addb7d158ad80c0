"""Steps on the unit sphere S2, the manifold of translation directions."""

from __future__ import annotations

import numpy as np


def tangent_basis(direction: np.ndarray) -> np.ndarray:
    """Orthonormal basis (3, 2), in columns, of the plane perpendicular to a unit vector (3,)."""
    x, y, z = direction
    smallest = min(abs(x), abs(y), abs(z))
    # The first column is `direction` x the axis of its smallest coordinate, the best conditioned of the three.
    if abs(x) == smallest:
        first = np.array([0.0, z, -y])
    elif abs(y) == smallest:
        first = np.array([-z, 0.0, x])
    else:
        first = np.array([y, -x, 0.0])
    first /= np.sqrt(first @ first)
    u, v, w = first
    return np.array([[u, y * w - z * v], [v, z * u - x * w], [w, x * v - y * u]])


def move_direction(direction: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Unit vector (3,) after a step (2,) from `direction` in its tangent basis; radians to first order."""
    moved = direction + tangent_basis(direction) @ step
    return moved / np.linalg.norm(moved)
