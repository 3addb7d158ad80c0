"""Depths of matches under a relative pose."""

from __future__ import annotations

import numpy as np


def depths(x0: np.ndarray, x1: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Depths (N, 2) along z in the older and the newer camera, in units of the translation, of rays (N, 3).

    p0 = rotation p1 + translation. They are those of the shortest line between both rays (Hartley and Sturm,
    "Triangulation", 1997, the mid-point method); parallel rays give infinity.
    """
    turned = x1 @ rotation.T
    a, b, c = np.sum(x0 * x0, axis=1), np.sum(x0 * turned, axis=1), np.sum(turned * turned, axis=1)
    d, e = x0 @ translation, turned @ translation
    determinant = a * c - b * b
    with np.errstate(divide="ignore", invalid="ignore"):
        result = np.column_stack([(c * d - b * e) / determinant, (b * d - a * e) / determinant])
    return np.where(determinant[:, None] > 1e-15 * (a * c)[:, None], result, np.inf)


def parallax(x0: np.ndarray, x1: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Angles (N,), radians, between the two rays of a match once the rotation is taken out."""
    turned = x1 @ rotation.T  # the arc tangent is exact also when the angles are tiny
    return np.arctan2(np.linalg.norm(np.cross(x0, turned), axis=1), np.sum(x0 * turned, axis=1))


def in_front(x0: np.ndarray, x1: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> float:
    """Fraction of the matches that lie in front of both cameras."""
    z = depths(x0, x1, rotation, translation)
    return float(np.mean((z > 0).all(axis=1))) if len(z) else 0.0


def fit_plane(x0: np.ndarray, x1: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray | None:
    """Plane m (3,) = n / d in the older camera, m' p0 = 1, in units of the translation; None where there is none.

    Least squares on the inverse depths, m' x0 = 1 / z0, which noise in the rays disturbs evenly, repeated without
    the points that are off by more than 2.5 times the median.
    """
    inverse = 1.0 / depths(x0, x1, rotation, translation)[:, 0]
    used = np.isfinite(inverse)
    plane = None
    for _ in range(5):
        if used.sum() < 3:
            return None
        plane, _, rank, _ = np.linalg.lstsq(x0[used], inverse[used], rcond=1e-9)
        if rank < 3:
            return None
        off = np.abs(x0 @ plane - inverse)
        used = np.isfinite(inverse) & (off <= 2.5 * np.median(off[np.isfinite(off)]) + 1e-12)
    return plane
