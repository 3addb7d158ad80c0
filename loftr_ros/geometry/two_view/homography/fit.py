"""Fits of a homography (robust, by sampling) and of a rotation (least squares) to matches."""

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


def fit_rotation(pairs: RayPairs) -> RotationMotion:
    """Fit the rotation with x0 ~ R x1 by weighted least squares on unit directions (Kabsch, 1976)."""
    unit0, unit1 = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (pairs.x0, pairs.x1))
    u, _, vt = np.linalg.svd((unit0 * pairs.weights[:, None]).T @ unit1)
    return RotationMotion(u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt)


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
