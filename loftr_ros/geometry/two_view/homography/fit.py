"""Robust fits of a homography and of a rotation to matches, by sampling."""

from __future__ import annotations

import cv2
import numpy as np

from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.two_view.essential import Estimator, uses_poselib
from loftr_ros.geometry.two_view.homography.motion import RotationMotion

try:
    import poselib
except ImportError:  # no wheel for this platform (aarch64)
    poselib = None

_MIN_MATCHES = 4  # of the minimal solver
_MIN_ITERATIONS = 50  # of sampling, in poselib (empirical)
_MAX_ITERATIONS = 500  # with a third of right matches, all samples are wrong with p = (1 - 3^-4)^500 = 0.002
_CONFIDENCE = 0.9999  # of OpenCV's sampling (empirical)
_ROTATION_SAMPLES = 100  # of two matches; with a third of right matches, all are wrong with p = (1 - 3^-2)^100 = 8e-6


def fit_homography(pairs: RayPairs, threshold: float, estimator: Estimator, seed: int) -> np.ndarray | None:
    """Fit H (3, 3), x0 ~ H x1, by sampling; None without a result.

    threshold: largest reprojection error of an inlier, pixels. The same seed gives the same result.
    """
    if len(pairs) < _MIN_MATCHES:
        return None
    fit = _fit_poselib if uses_poselib(estimator) else _fit_opencv
    H = fit(pairs.x0[:, :2], pairs.x1[:, :2], threshold, pairs.pixel, seed)
    if H is None or not np.isfinite(H).all() or np.linalg.matrix_rank(H) < 3:
        return None
    return np.asarray(H)


def fit_rotation(pairs: RayPairs, threshold: float, seed: int) -> RotationMotion | None:
    """Fit the rotation with x0 ~ R x1 by sampling pairs of matches; None without a result.

    threshold: largest reprojection error of an inlier, pixels. The same seed gives the same result. The rotation with
    the smallest sum of truncated squares (MSAC: Torr and Zisserman, "MLESAC", CVIU 2000, section 3) is refitted to its
    inliers by weighted least squares on unit directions (Kabsch, 1976).
    """
    if len(pairs) < 2:
        return None
    drawn = np.random.default_rng(seed).integers(0, len(pairs), (_ROTATION_SAMPLES, 2))
    tried = _rotations_of(_frames(pairs.x0, drawn), _frames(pairs.x1, drawn))
    if len(tried) == 0:
        return None
    squares = _squared_distances(pairs, tried)
    best = int(np.argmin(np.minimum(squares, threshold**2) @ pairs.weights))
    inside = squares[best] < threshold**2
    unit0, unit1 = _directions(pairs.x0[inside]), _directions(pairs.x1[inside])
    if len(unit0) < 2:
        return None
    u, _, vt = np.linalg.svd((unit0 * pairs.weights[inside, None]).T @ unit1)
    return RotationMotion(u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt)


def _directions(rays: np.ndarray) -> np.ndarray:
    """Unit vectors (..., 3) of rays (..., 3)."""
    return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True))


def _frames(rays: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Orthonormal frames (M, 3, 3), axes in columns, of pairs of rays: their sum, their difference, and the normal.

    rays: (N, 3). drawn: (M, 2) indices. Not finite for two equal rays.
    """
    a, b = _directions(rays[drawn[:, 0]]), _directions(rays[drawn[:, 1]])
    with np.errstate(invalid="ignore"):
        middle, across = _directions(a + b), _directions(a - b)
    return np.stack([middle, across, np.cross(middle, across)], axis=2)


def _rotations_of(frames0: np.ndarray, frames1: np.ndarray) -> np.ndarray:
    """Rotations (K, 3, 3) from frames (M, 3, 3) in the newer camera to those in the older one, the finite ones."""
    found = frames0 @ np.swapaxes(frames1, 1, 2)
    return np.asarray(found[np.isfinite(found).all(axis=(1, 2))])


def _squared_distances(pairs: RayPairs, rotations: np.ndarray) -> np.ndarray:
    """Squared reprojection errors (K, N) of rotations (K, 3, 3) in the older image, pixels^2; infinite behind it."""
    x, y, depth = np.moveaxis(rotations @ pairs.rows1, 1, 0)
    ahead = depth > 1e-6
    divisor = np.where(ahead, depth, 1.0)
    squares = ((x - depth * pairs.rows0[0]) / divisor) ** 2 + ((y - depth * pairs.rows0[1]) / divisor) ** 2
    return np.where(ahead, squares, np.inf) / pairs.pixel**2


def _fit_poselib(rays0: np.ndarray, rays1: np.ndarray, threshold: float, pixel: float, seed: int) -> np.ndarray | None:
    sampling = {"seed": seed, "min_iterations": _MIN_ITERATIONS, "max_iterations": _MAX_ITERATIONS}
    options = {"max_reproj_error": threshold * pixel, **sampling}
    H, info = poselib.estimate_homography(rays1, rays0, options, {})
    return H if info["num_inliers"] >= _MIN_MATCHES else None


def _fit_opencv(rays0: np.ndarray, rays1: np.ndarray, threshold: float, pixel: float, seed: int) -> np.ndarray | None:
    cv2.setRNGSeed(seed)
    # In pixels, because OpenCV's estimator has absolute tolerances that do not suit normalised coordinates.
    H, mask = cv2.findHomography(
        rays1 / pixel, rays0 / pixel, cv2.USAC_MAGSAC, threshold, maxIters=_MAX_ITERATIONS, confidence=_CONFIDENCE
    )
    if H is None or mask.sum() < _MIN_MATCHES:
        return None
    return np.diag([pixel, pixel, 1.0]) @ H @ np.diag([1 / pixel, 1 / pixel, 1.0])
