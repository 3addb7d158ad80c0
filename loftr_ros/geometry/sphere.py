"""Steps on the unit sphere (S2): how the direction of a translation can move."""

from __future__ import annotations

import numpy as np


def tangent_basis(direction: np.ndarray) -> np.ndarray:
    """Two orthonormal columns (3, 2) at a right angle to a unit vector (3,)."""
    x, y, z = direction
    smallest = min(abs(x), abs(y), abs(z))
    if abs(x) == smallest:
        first = np.array([0.0, z, -y])  # direction x axis, that of the smallest coordinate
    elif abs(y) == smallest:
        first = np.array([-z, 0.0, x])
    else:
        first = np.array([y, -x, 0.0])
    first /= np.sqrt(first @ first)
    u, v, w = first
    return np.array([[u, y * w - z * v], [v, z * u - x * w], [w, x * v - y * u]])


def move_direction(direction: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Unit vector (3,) reached from `direction` by a step (2,) in its tangent basis, radians to first order."""
    moved = direction + tangent_basis(direction) @ step
    return moved / np.linalg.norm(moved)
