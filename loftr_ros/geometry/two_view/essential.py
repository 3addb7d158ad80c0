"""The essential matrix: robust fit, and Sampson residuals with their Jacobian on SO(3) x S2.

Model: p0 = R p1 + t, the pose (R, t) of the newer camera in the older one, |t| = 1, so x0' E x1 = 0 with E = [t]x R.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from loftr_ros.geometry.rays import RayPairs, gram_times, kept_for_last
from loftr_ros.geometry.sphere import move_direction, tangent_basis
from loftr_ros.geometry.triangulation import in_front
from perception_common.errors import InputError
from perception_common.geometry import skew, so3_exp

try:
    import poselib
except ImportError:  # no wheel for this platform (aarch64)
    poselib = None

Estimator = Literal["auto", "poselib", "opencv"]

ROTATION_GENERATORS = np.array([skew(axis) for axis in np.eye(3)])  # derivative of exp(w) by w at 0, (3, 3, 3)

_CONFIDENCE, _MAX_ITERATIONS = 0.9999, 5000  # of OpenCV's sampling (empirical)
_POSELIB_SAMPLING = {"min_iterations": 100, "max_iterations": 3000, "dyn_num_trials_mult": 2.0}  # (empirical)
_MAX_DEPTH = 1e6  # baselines; recoverPose ignores farther points, so practically none


@dataclass(frozen=True, eq=False)
class EssentialMotion:
    """A pose up to scale: rotation (3, 3), translation (3,) of length 1.

    noise: sigma of the matches, pixels, approximately. The epipolar error is bilinear in the pixels of both images.
    Near the epipole, where its first derivatives vanish, its variance comes from the product of both noises, the
    second-order term sigma^4 |P0' E P1|^2 (E here its upper left 2 x 2 part); noise 0 leaves the term out.
    A step is (w, b), 5 numbers: rotation exp(w) rotation; translation moved by b in its tangent_basis.
    """

    rotation: np.ndarray
    translation: np.ndarray
    noise: float = 0.0

    def residuals(self, pairs: RayPairs) -> np.ndarray:
        """Signed Sampson residuals (N, 1), pixels: first-order distance of a match to the nearest exact match.

        Hartley and Zisserman, 2nd edition, section 11.4.3, with the derivatives by pixels of the original images.
        """
        epipolar = self._epipolar(pairs)
        return (epipolar.error / epipolar.deviation)[:, None]

    def jacobian(self, pairs: RayPairs) -> np.ndarray:
        """Derivative (N, 1, 5) of the residuals by a step, including that of their denominator."""
        epipolar = self._epipolar(pairs)
        inverse = 1.0 / epipolar.deviation
        ratio = epipolar.error * inverse**3
        along = pairs.rows0 * inverse
        along[:2] -= epipolar.slope0 * ratio
        by_entries = along[:, None] * pairs.rows1
        by_entries[:, :2] -= pairs.rows0[:, None] * (epipolar.slope1 * ratio)
        by_entries[:2, :2] -= self.noise**2 * ratio * epipolar.mixed
        return (self._tangents @ by_entries.reshape(9, -1)).T[:, None]

    def gradient(self, pairs: RayPairs, weights: np.ndarray) -> np.ndarray:
        """Half the derivative (5,) of the weighted sum of squared residuals by a step."""
        epipolar = self._epipolar(pairs)
        error, variance = epipolar.error, epipolar.deviation**2
        along = weights * error / variance
        ratio = along * error / variance
        by_entries = (pairs.rows0 * along) @ pairs.rows1.T
        by_entries[:2] -= (epipolar.slope0 * ratio) @ pairs.rows1.T
        by_entries[:, :2] -= pairs.rows0 @ (epipolar.slope1 * ratio).T
        by_entries[:2, :2] -= self.noise**2 * (epipolar.mixed * ratio).sum(axis=2)
        return self._tangents @ by_entries.ravel()

    @property
    def _tangents(self) -> np.ndarray:
        """Derivative (5, 9) of the entries of E, row by row, by a step."""
        by_rotation = skew(self.translation) @ ROTATION_GENERATORS
        by_direction = tangent_basis(self.translation).T @ ROTATION_GENERATORS.reshape(3, 9)  # skew is linear
        return (np.concatenate([by_rotation, by_direction.reshape(2, 3, 3)]) @ self.rotation).reshape(5, 9)

    def moved(self, step: np.ndarray) -> EssentialMotion:
        """The motion after a step (5,)."""
        rotation, translation = so3_exp(step[:3]) @ self.rotation, move_direction(self.translation, step[3:])
        return EssentialMotion(rotation, translation, self.noise)

    @kept_for_last
    def _epipolar(self, pairs: RayPairs) -> _Epipolar:
        E = skew(self.translation) @ self.rotation
        line0, line1 = E @ pairs.rows1, E.T @ pairs.rows0
        slope0, slope1 = gram_times(pairs.gram0, line0[:2]), gram_times(pairs.gram1, line1[:2])
        squares = np.einsum("in,in->n", line0[:2], slope0) + np.einsum("in,in->n", line1[:2], slope1)
        left = gram_times(pairs.gram0, E[:2, :2].T[:, :, None])  # (P0 P0' E)', (2, 2, N)
        mixed = gram_times(pairs.gram1, left.swapaxes(0, 1))
        squares += self.noise**2 * (E[:2, :2].reshape(4) @ mixed.reshape(4, -1))
        error = np.einsum("in,in->n", pairs.rows0, line0)
        return _Epipolar(error, slope0, slope1, mixed, np.sqrt(np.maximum(squares, 1e-24)))


@dataclass(frozen=True, eq=False)
class _Epipolar:
    """The epipolar error of matches and its standard deviation over that of a pixel, with derivatives.

    error: (N,), x0' E x1. slope0, slope1: (2, N), half the derivatives of deviation^2 by the epipolar lines E x1 and
    E' x0. mixed: (2, 2, N), half the derivative of its second-order term by E, over noise^2. deviation: (N,).
    """

    error: np.ndarray
    slope0: np.ndarray
    slope1: np.ndarray
    mixed: np.ndarray
    deviation: np.ndarray


@dataclass(frozen=True, eq=False)
class EssentialFit:
    """A motion and its inliers, (N,) bool."""

    motion: EssentialMotion
    inliers: np.ndarray


def facing(inside: RayPairs, motion: EssentialMotion) -> EssentialMotion:
    """Return the motion or the one with opposite translation, which has equal residuals, by positive depths."""
    ahead = in_front(inside.x0, inside.x1, motion.rotation, motion.translation)
    behind = in_front(inside.x0, inside.x1, motion.rotation, -motion.translation)
    return motion if ahead >= behind else replace(motion, translation=-motion.translation)


def uses_poselib(estimator: Estimator) -> bool:
    """Return whether this choice uses poselib. Raises InputError for "poselib" where it is not installed."""
    if estimator == "poselib" and poselib is None:
        raise InputError("the estimator poselib is not installed: pip install poselib, or choose opencv")
    return estimator != "opencv" and poselib is not None


def fit_essential(pairs: RayPairs, threshold: float, estimator: Estimator, seed: int) -> EssentialFit | None:
    """Fit by sampling minimal sets of five matches; None without a result.

    threshold: largest Sampson distance of an inlier, pixels. The same seed gives the same result.
    """
    fit = _fit_poselib if uses_poselib(estimator) else _fit_opencv
    found = fit(pairs.x0[:, :2], pairs.x1[:, :2], threshold * pairs.pixel, seed)
    if found is None or not np.isfinite([*found.motion.rotation, found.motion.translation]).all():
        return None
    return found


def _fit_poselib(rays0: np.ndarray, rays1: np.ndarray, threshold: float, seed: int) -> EssentialFit | None:
    unit_camera = {"model": "SIMPLE_PINHOLE", "width": 2, "height": 2, "params": [1.0, 0.0, 0.0]}
    options = {"max_epipolar_error": threshold, "seed": seed, **_POSELIB_SAMPLING}
    pose, info = poselib.estimate_relative_pose(rays1, rays0, unit_camera, unit_camera, options, {})
    inliers = np.asarray(info["inliers"], bool)
    length = np.linalg.norm(pose.t)
    if not inliers.any() or not length > 0.0:
        return None
    return EssentialFit(EssentialMotion(np.asarray(pose.R), np.asarray(pose.t) / length), inliers)


def _fit_opencv(rays0: np.ndarray, rays1: np.ndarray, threshold: float, seed: int) -> EssentialFit | None:
    cv2.setRNGSeed(seed)
    try:
        E, mask = cv2.findEssentialMat(
            rays1, rays0, np.eye(3), cv2.USAC_MAGSAC, prob=_CONFIDENCE, threshold=threshold, maxIters=_MAX_ITERATIONS
        )
    except cv2.error:
        return None
    if E is None or E.shape != (3, 3) or not mask.any():
        return None
    # recoverPose clears mask entries of points that fail its cheirality test, such as points at infinity: pass a copy.
    _, rotation, translation, *_ = cv2.recoverPose(
        E, rays1, rays0, np.eye(3), distanceThresh=_MAX_DEPTH, mask=mask.copy()
    )
    return EssentialFit(EssentialMotion(rotation, translation[:, 0]), mask[:, 0] > 0)
