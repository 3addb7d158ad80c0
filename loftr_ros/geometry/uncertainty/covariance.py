"""Covariances of relative poses, 6x6 in ROS order: translation x, y, z, then rotation about x, y, z.

The convention is that of geometry_msgs/PoseWithCovariance, for the pose (R, t) of the newer camera in the older one:
the error (dt, dw) is in the axes of the older camera, true t = t + dt and true R = exp(dw) R. `to_gtsam` converts to
the convention of GTSAM: true T = T exp(x), x in the axes of the newer camera, rotation first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.sphere import tangent_basis
from loftr_ros.geometry.uncertainty.profile import widened
from loftr_ros.geometry.uncertainty.refinement import Refined
from perception_common.geometry import compose, inverse, skew

UNOBSERVED = 1e4  # variance of an unobserved component of a unit translation: large enough to carry no information
UNKNOWN_ROTATION = np.pi**2 / 3  # rad^2, variance of an angle uniform over -pi to pi
# For `pose_covariance`: the values that make covariances of simulated pairs consistent, parallax 2 to 100 times noise.
ESSENTIAL_CURVATURE = 20.0
PLANE_CURVATURE = 5.0
_MAX_STEP_VARIANCE = 1.0  # rad^2, bound along a direction in which the cost has no curvature
# rad^2; keeps a covariance that contains UNOBSERVED positive definite in double precision, with rounding errors of
# 1e-12. A thousand matches with an error of 0.15 pixels give a rotation to about 3e-10.
_MIN_VARIANCE = 1e-10
_DIFFERENCE_STEP = 1e-5  # radians, of the difference of gradients


def unknown_covariance() -> np.ndarray:
    """Return the covariance (6, 6) of an unknown pose."""
    return np.diag([UNOBSERVED] * 3 + [UNKNOWN_ROTATION] * 3)


def step_covariance(pairs: RayPairs, refined: Refined[Any]) -> np.ndarray:
    """Covariance (p, p) of the step from the estimate to the truth, for matches with independent errors.

    sigma^2 H^-1 J'WJ H^-1 with the full second derivative H of the cost (White, "Maximum likelihood estimation of
    misspecified models", 1982). Noise in the rays makes J'WJ too large in weakly observed directions, above all at
    small parallax, so its inverse alone would be overconfident; H does not have this bias. Deviations of the cost from
    a parabola are handled in profile.py, correlated errors of matches in dependence.py.
    """
    size = len(refined.information)
    H = np.empty((size, size))
    here = refined.motion.gradient(pairs, refined.weights)
    for k, step in enumerate(_DIFFERENCE_STEP * np.eye(size)):
        H[:, k] = (refined.motion.moved(step).gradient(pairs, refined.weights) - here) / _DIFFERENCE_STEP
    values, vectors = np.linalg.eigh((H + H.T) / 2)
    variance = refined.noise.sigma**2
    inverse_H = (vectors / np.maximum(values, variance / _MAX_STEP_VARIANCE)) @ vectors.T
    return widened(pairs, refined, variance * inverse_H @ refined.information @ inverse_H)


def observed_covariance(steps: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Covariance (6, 6) of rotation and translation direction, 0 along the translation (3,), from that of the steps.

    steps: (p, p), p >= 5, of which the first five are used: rotation, then the tangent basis of the translation.
    """
    jacobian = np.zeros((6, 5))
    jacobian[3:, :3] = np.eye(3)
    jacobian[:3, 3:] = tangent_basis(translation)
    return jacobian @ _bounded(steps[:5, :5]) @ jacobian.T


def pose_covariance(
    steps: np.ndarray, translation: np.ndarray, parallax: float, noise: float, curvature: float = ESSENTIAL_CURVATURE
) -> np.ndarray:
    """Covariance (6, 6) of a pose with a unit translation (3,) from that of its steps.

    steps: as in `observed_covariance`. parallax: median of the inliers, noise: standard deviation of a match, both in
    radians. The length of the translation is not observed; its variance is UNOBSERVED. All variances are multiplied by
    1 + curvature (noise / parallax)^2, for the linearisation error at small parallax.
    """
    inflation = 1.0 + curvature * (noise / max(parallax, noise)) ** 2
    covariance = observed_covariance(inflation * steps, translation)
    covariance[:3, :3] += UNOBSERVED * inflation * np.outer(translation, translation)
    return covariance


def rotation_only_covariance(steps: np.ndarray) -> np.ndarray:
    """Covariance (6, 6) of a pure rotation from that of its steps (3, 3); the translation is unknown."""
    covariance = unknown_covariance()
    covariance[3:, 3:] = _bounded(steps)
    return covariance


def to_gtsam(covariance: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Convert a ROS covariance (6, 6) to that of x in T exp(x), rotation first, for gtsam.BetweenFactorPose3.

    rotation: (3, 3), of the pose T.
    """
    jacobian = np.zeros((6, 6))
    jacobian[:3, 3:] = jacobian[3:, :3] = rotation.T
    return jacobian @ covariance @ jacobian.T


def from_gtsam(covariance: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Convert the covariance (6, 6) of x in T exp(x), rotation first, to ROS: the inverse of `to_gtsam`."""
    jacobian = np.zeros((6, 6))
    jacobian[:3, 3:] = jacobian[3:, :3] = rotation
    return jacobian @ covariance @ jacobian.T


def change_frame(
    T: np.ndarray, covariance: np.ndarray, T_base_camera0: np.ndarray, T_base_camera1: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Transform the relative pose (4, 4) of a camera and its covariance (6, 6) to those of the base that carries it.

    T_base_camera0, T_base_camera1: (4, 4), pose of the camera in the base at the older and the newer image, assumed
    exact; None for the second: the same (no gimbal). T' = X T Y^-1 with X = T_base_camera0 and Y = T_base_camera1, so
    dw' = Rx dw and dt' = Rx dt + (R' ty) x dw'.
    """
    X, Y = T_base_camera0, T_base_camera0 if T_base_camera1 is None else T_base_camera1
    moved = compose(X, T, inverse(Y))
    jacobian = np.zeros((6, 6))
    jacobian[:3, :3] = jacobian[3:, 3:] = X[:3, :3]
    jacobian[:3, 3:] = skew(moved[:3, :3] @ Y[:3, 3]) @ X[:3, :3]
    return moved, jacobian @ covariance @ jacobian.T


def _bounded(covariance: np.ndarray) -> np.ndarray:
    """Clip the eigenvalues of a covariance of angles to _MIN_VARIANCE and UNKNOWN_ROTATION."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return (vectors * np.clip(values, _MIN_VARIANCE, UNKNOWN_ROTATION)) @ vectors.T
