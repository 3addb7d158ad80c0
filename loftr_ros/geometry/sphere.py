"""Steps on the unit sphere (S2): how the direction of a translation can move."""

from __future__ import annotations

import numpy as np


def tangent_basis(direction: np.ndarray) -> np.ndarray:
    """Two orthonormal columns (3, 2) at a right angle to a unit vector (3,)."""
    axis = np.eye(3)[np.argmin(np.abs(direction))]
    first = np.cross(direction, axis)
    first /= np.linalg.norm(first)
    return np.column_stack([first, np.cross(direction, first)])


def move_direction(direction: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Unit vector (3,) reached from `direction` by a step (2,) in its tangent basis, radians to first order."""
    moved = direction + tangent_basis(direction) @ step
    return moved / np.linalg.norm(moved)
