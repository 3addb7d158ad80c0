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

TURNS = np.array([skew(axis) for axis in np.eye(3)])  # derivative of exp(w)


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
        inverse = 1.0 / length
        ratio = error * inverse**3
        along = pairs.rows0 * inverse  # of the error, less that of its deviation
        along[:2] -= slope0 * ratio
        by_entries = along[:, None] * pairs.rows1
        by_entries[:, :2] -= pairs.rows0[:, None] * (slope1 * ratio)
        by_entries[:2, :2] -= self.noise**2 * ratio * mixed
        return (self._tangents @ by_entries.reshape(9, -1)).T[:, None]

    def gradient(self, pairs: RayPairs, weights: np.ndarray) -> np.ndarray:
        """Half the derivative (5,) of the weighted sum of squares by a step."""
        error, slope0, slope1, mixed, length = self._epipolar(pairs)
        along = weights * error / length**2
        ratio = along * error / length**2
        by_entries = (pairs.rows0 * along) @ pairs.rows1.T
        by_entries[:2] -= (slope0 * ratio) @ pairs.rows1.T
        by_entries[:, :2] -= pairs.rows0 @ (slope1 * ratio).T
        by_entries[:2, :2] -= self.noise**2 * (mixed * ratio).sum(axis=2)
        return self._tangents @ by_entries.ravel()

    @property
    def _tangents(self) -> np.ndarray:
        """Derivative (5, 9) of the entries of E, row by row, by a step."""
        turns = skew(self.translation) @ TURNS @ self.rotation
        shifts = [skew(axis) @ self.rotation for axis in tangent_basis(self.translation).T]
        return np.concatenate([turns, shifts]).reshape(5, 9)

    def moved(self, step: np.ndarray) -> EssentialMotion:
        """The motion after a step (5,)."""
        rotation, translation = so3_exp(step[:3]) @ self.rotation, move_direction(self.translation, step[3:])
        return EssentialMotion(rotation, translation, self.noise)

    def _epipolar(self, pairs: RayPairs) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """x0' E x1 (N,), half the derivatives of its variance for noise 1 by the epipolar lines (2, N) and by E (2, 2,
        N), and its deviation (N,).
        """
        E = skew(self.translation) @ self.rotation
        line0, line1 = E @ pairs.rows1, E.T @ pairs.rows0
        slope0, slope1 = _by_gram(pairs.gram0, line0), _by_gram(pairs.gram1, line1)
        squares = line0[0] * slope0[0] + line0[1] * slope0[1] + line1[0] * slope1[0] + line1[1] * slope1[1]
        (a, b), (c, d) = E[:2, :2]
        xx, xy, yy = pairs.gram0
        left = np.array([xx * a + xy * c, xx * b + xy * d, xy * a + yy * c, xy * b + yy * d]).reshape(2, 2, -1)
        xx, xy, yy = pairs.gram1
        mixed = np.swapaxes([left[:, 0] * xx + left[:, 1] * xy, left[:, 0] * xy + left[:, 1] * yy], 0, 1)
        squares += self.noise**2 * (E[:2, :2].reshape(4) @ mixed.reshape(4, -1))
        error = np.einsum("in,in->n", pairs.rows0, line0)
        return error, slope0, slope1, mixed, np.sqrt(np.maximum(squares, 1e-24))


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


def _by_gram(gram: np.ndarray, line: np.ndarray) -> np.ndarray:
    """P P' l (2, N) of the first two coordinates of lines (3, N)."""
    return np.array([gram[0] * line[0] + gram[1] * line[1], gram[1] * line[0] + gram[2] * line[1]])


def _fit_poselib(rays0: np.ndarray, rays1: np.ndarray, threshold: float, seed: int) -> EssentialFit | None:
    unit_camera = {"model": "SIMPLE_PINHOLE", "width": 2, "height": 2, "params": [1.0, 0.0, 0.0]}
    options = {
        "max_epipolar_error": threshold,
        "seed": seed,
        "min_iterations": 100,
        "max_iterations": 3000,
        "dyn_num_trials_mult": 2.0,
    }
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
