"""The essential matrix: robust fit, and Sampson residuals with their Jacobian on SO(3) x S2.

Everywhere p0 = R p1 + t: the pose (R, t) of the newer camera in the older one, |t| = 1, so that x0' [t]x R x1 = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.sphere import move_direction, tangent_basis
from perception_common.errors import InputError
from perception_common.geometry import skew, so3_exp

try:
    import poselib
except ImportError:  # no wheel for this platform (aarch64)
    poselib = None

Estimator = Literal["auto", "poselib", "opencv"]


@dataclass(frozen=True, eq=False)
class EssentialMotion:
    """A pose up to scale: rotation (3, 3), translation (3,) of length 1.

    noise: pixels, about that of the matches. The epipolar error is bilinear in the pixels of both images; near the
    epipole, where its slope vanishes, the product of both noises is what is left of its variance.
    A step is (w, b): rotation becomes exp(w) rotation, w about the axes of the older camera; the translation moves by
    b in its tangent_basis.
    """

    rotation: np.ndarray
    translation: np.ndarray
    noise: float = 0.0

    def residuals(self, pairs: RayPairs) -> np.ndarray:
        """Signed Sampson residuals (N, 1), pixels: first-order distance of a match to the nearest exact one.

        Hartley and Zisserman, 2nd edition, section 11.4.3; the gradient is taken by pixels of the original images.
        """
        error, _, _, _, length = self._epipolar(pairs)
        return (error / length)[:, None]

    def jacobian(self, pairs: RayPairs) -> np.ndarray:
        """Derivative (N, 1, 5) of the residuals by a step, that of their denominator included."""
        error, slope0, slope1, mixed, length = self._epipolar(pairs)
        turns = [skew(self.translation) @ skew(axis) @ self.rotation for axis in np.eye(3)]
        shifts = [skew(axis) @ self.rotation for axis in tangent_basis(self.translation).T]
        dE = np.array(turns + shifts)  # (5, 3, 3)
        line0, line1 = dE @ pairs.x1.T, np.swapaxes(dE, 1, 2) @ pairs.x0.T  # (5, 3, N)
        d_error = np.sum(line0 * pairs.x0.T, axis=1)
        d_slope = _by_pixel(line0, pairs.pixel0, slope0) + _by_pixel(line1, pairs.pixel1, slope1)
        by_block = pairs.pixel0 @ mixed @ np.swapaxes(pairs.pixel1, 1, 2)
        d_slope += self.noise**2 * np.einsum("nij,pij->pn", by_block, dE[:, :2, :2])
        return ((d_error - error / length**2 * d_slope) / length).T[:, None]

    def moved(self, step: np.ndarray) -> EssentialMotion:
        """The motion after a step (5,)."""
        rotation, translation = so3_exp(step[:3]) @ self.rotation, move_direction(self.translation, step[3:])
        return EssentialMotion(rotation, translation, self.noise)

    def _epipolar(self, pairs: RayPairs) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """x0' E x1 (N,), its first derivatives (N, 2) and mixed second one (N, 2, 2) by pixels, its deviation (N,)."""
        E = skew(self.translation) @ self.rotation
        line0, line1 = pairs.x1 @ E.T, pairs.x0 @ E
        slope0 = np.einsum("nij,ni->nj", pairs.pixel0, line0[:, :2])
        slope1 = np.einsum("nij,ni->nj", pairs.pixel1, line1[:, :2])
        mixed = np.swapaxes(pairs.pixel0, 1, 2) @ E[:2, :2] @ pairs.pixel1
        squares = np.sum(slope0**2, axis=1) + np.sum(slope1**2, axis=1)
        length = np.sqrt(squares + self.noise**2 * np.sum(mixed**2, axis=(1, 2)))
        return np.sum(pairs.x0 * line0, axis=1), slope0, slope1, mixed, np.maximum(length, 1e-12)


@dataclass(frozen=True, eq=False)
class EssentialFit:
    """A motion, and the matches that agree with it: (N,) bool."""

    motion: EssentialMotion
    inliers: np.ndarray


def uses_poselib(estimator: Estimator) -> bool:
    """Say whether this choice means poselib here; raises InputError when it is wanted and not installed."""
    if estimator == "poselib" and poselib is None:
        raise InputError("the estimator poselib is not installed: pip install poselib, or choose opencv")
    return estimator != "opencv" and poselib is not None


def fit_essential(pairs: RayPairs, threshold: float, estimator: Estimator, seed: int) -> EssentialFit | None:
    """Fit by sampling; threshold in pixels. None when nothing is found. The same seed gives the same result."""
    fit = _fit_poselib if uses_poselib(estimator) else _fit_opencv
    found = fit(pairs.x0[:, :2], pairs.x1[:, :2], threshold * pairs.pixel, seed)
    if found is None or not np.isfinite([*found.motion.rotation, found.motion.translation]).all():
        return None
    return found


def _by_pixel(lines: np.ndarray, pixel: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Products (5, N) of the lines' (5, 3, N) derivatives by pixels with the slope (N, 2)."""
    direction = np.einsum("nij,nj->in", pixel, slope)
    return np.sum(lines[:, :2] * direction, axis=1)


def _fit_poselib(rays0: np.ndarray, rays1: np.ndarray, threshold: float, seed: int) -> EssentialFit | None:
    unit_camera = {"model": "SIMPLE_PINHOLE", "width": 2, "height": 2, "params": [1.0, 0.0, 0.0]}
    options = {"max_epipolar_error": threshold, "seed": seed, "min_iterations": 200, "max_iterations": 3000}
    pose, info = poselib.estimate_relative_pose(rays1, rays0, unit_camera, unit_camera, options, {})
    inliers = np.asarray(info["inliers"], bool)
    length = np.linalg.norm(pose.t)
    if not inliers.any() or not length > 0.0:
        return None
    return EssentialFit(EssentialMotion(np.asarray(pose.R), np.asarray(pose.t) / length), inliers)


def _fit_opencv(rays0: np.ndarray, rays1: np.ndarray, threshold: float, seed: int) -> EssentialFit | None:
    cv2.setRNGSeed(seed)
    try:
        E, mask = cv2.findEssentialMat(rays1, rays0, np.eye(3), cv2.USAC_MAGSAC, 0.9999, threshold, 5000)
    except cv2.error:
        return None
    if E is None or E.shape != (3, 3) or not mask.any():
        return None
    # Every inlier of the essential matrix stays one: points at infinity do not pass OpenCV's cheirality test.
    _, rotation, translation, *_ = cv2.recoverPose(E, rays1, rays0, np.eye(3), distanceThresh=1e6, mask=mask.copy())
    return EssentialFit(EssentialMotion(rotation, translation[:, 0]), mask[:, 0] > 0)
