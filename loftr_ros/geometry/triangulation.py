"""Depths, parallax and the dominant plane of matches under a relative pose, p0 = rotation p1 + translation."""

from __future__ import annotations

import numpy as np

_PLANE_ITERATIONS = 5  # of least squares and rejection (empirical)
_PLANE_INLIER = 2.5  # times the median residual (empirical)


def depths(x0: np.ndarray, x1: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Depths (N, 2) along z in the older and the newer camera, in units of the translation, of rays (N, 3).

    The end points of the shortest segment between the two rays (Hartley and Sturm, "Triangulation", CVIU 1997, the
    mid-point method). Parallel rays give infinity.
    """
    turned = x1 @ rotation.T
    a, b, c = np.sum(x0 * x0, axis=1), np.sum(x0 * turned, axis=1), np.sum(turned * turned, axis=1)
    d, e = x0 @ translation, turned @ translation
    determinant = a * c - b * b
    with np.errstate(divide="ignore", invalid="ignore"):
        result = np.column_stack([(c * d - b * e) / determinant, (b * d - a * e) / determinant])
    return np.where(determinant[:, None] > 1e-15 * (a * c)[:, None], result, np.inf)


def parallax(x0: np.ndarray, x1: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Angles (N,), radians, between the two rays (N, 3) of each match after compensation of the rotation."""
    turned = x1 @ rotation.T
    # Unlike the arc cosine, the arc tangent is accurate for tiny angles too.
    return np.arctan2(np.linalg.norm(np.cross(x0, turned), axis=1), np.sum(x0 * turned, axis=1))


def in_front(x0: np.ndarray, x1: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> float:
    """Fraction of the matches, rays (N, 3), whose points lie in front of both cameras (cheirality); 0 for none."""
    z = depths(x0, x1, rotation, translation)
    return float(np.mean((z > 0).all(axis=1))) if len(z) else 0.0


def fit_plane(x0: np.ndarray, x1: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray | None:
    """Fit the plane m (3,) = n / d with m' p0 = 1 in the older camera, in units of the translation; None without one.

    Iterated least squares on the inverse depths, m' x0 = 1 / z0, whose errors are nearly the same at every depth; each
    iteration drops the points with a residual above 2.5 times the median.
    """
    inverse = 1.0 / depths(x0, x1, rotation, translation)[:, 0]
    used = np.isfinite(inverse)
    plane = None
    for _ in range(_PLANE_ITERATIONS):
        if used.sum() < 3:
            return None
        plane, _, rank, _ = np.linalg.lstsq(x0[used], inverse[used], rcond=1e-9)
        if rank < 3:
            return None
        off = np.abs(x0 @ plane - inverse)
        used = np.isfinite(inverse) & (off <= _PLANE_INLIER * np.median(off[np.isfinite(off)]) + 1e-12)
    return plane
