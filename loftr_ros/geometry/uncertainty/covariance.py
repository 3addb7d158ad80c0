"""Covariances of relative poses, 6x6 in ROS order: translation x, y, z, then rotation about x, y, z.

The convention is that of geometry_msgs/PoseWithCovariance, for the pose (R, t) of the newer camera in the older one:
errors are about the axes of the older camera, true t = t + dt and true R = exp(dw) R, independent of each other's
order. `to_gtsam` gives GTSAM's: true T = T exp(x) in the axes of the newer camera, rotation first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.sphere import tangent_basis
from loftr_ros.geometry.uncertainty.profile import widened
from loftr_ros.geometry.uncertainty.refinement import Refined
from perception_common.geometry import compose, inverse, skew

UNOBSERVED = 1e4  # variance of what was not seen of a translation, in units of the unit translation: it means nothing
UNKNOWN_ROTATION = np.pi**2 / 3  # variance of an angle that is anything between -pi and pi
_LARGEST_DIRECTION = 1.0  # variance of a direction that is nearly anything, rad^2 along each axis
CURVATURE, CURVATURE_OF_PLANE = 20.0, 5.0  # of the essential matrix and the homography, see pose_covariance
_LEAST = 1e-9  # rad^2; it also keeps a covariance with UNOBSERVED in it positive definite in double precision
_STEP = 1e-5  # radians, for the derivative of the gradient


def unknown_covariance() -> np.ndarray:
    """Return the covariance (6, 6) of a pose of which nothing is known."""
    return np.diag([UNOBSERVED] * 3 + [UNKNOWN_ROTATION] * 3)


def step_covariance(pairs: RayPairs, refined: Refined[Any]) -> np.ndarray:
    """Covariance (p, p) of the step from the estimate to the truth, for matches that err independently.

    sigma^2 H^-1 J'WJ H^-1 with the full second derivative H of the cost (White, "Maximum likelihood estimation of
    misspecified models", 1982): noise in the rays makes J'WJ too large where a direction is weakly seen, which would
    promise too much, above all at small parallax; H does not suffer from it. What H does not show is in profile.py,
    and what matches add that err alike in dependence.py.
    """
    size = len(refined.information)
    H = np.empty((size, size))
    here = refined.motion.gradient(pairs, refined.weights)
    for k, step in enumerate(_STEP * np.eye(size)):
        H[:, k] = (refined.motion.moved(step).gradient(pairs, refined.weights) - here) / _STEP
    values, vectors = np.linalg.eigh((H + H.T) / 2)
    variance = refined.noise.sigma**2
    # A direction that the matches do not bend the cost along is not seen at all.
    inverse_H = (vectors / np.maximum(values, variance / _LARGEST_DIRECTION)) @ vectors.T
    return widened(pairs, refined, variance * inverse_H @ refined.information @ inverse_H)


def observed_covariance(steps: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Covariance (6, 6) of rotation and direction alone, 0 along the translation, from that of the steps."""
    jacobian = np.zeros((6, 5))
    jacobian[3:, :3] = np.eye(3)
    jacobian[:3, 3:] = tangent_basis(translation)
    return jacobian @ _bounded(steps[:5, :5]) @ jacobian.T


def pose_covariance(
    steps: np.ndarray, translation: np.ndarray, parallax: float, noise: float, curvature: float = CURVATURE
) -> np.ndarray:
    """Covariance (6, 6) of a pose with a unit translation from that of its steps: rotation, tangent of the translation.

    steps: (5, 5) or more, of which the first five count. parallax: the median one, noise: of a match, both in radians.
    The length of the translation is not seen: its variance is UNOBSERVED. At small parallax all of it is larger by
    1 + curvature (noise / parallax)^2, for what the linearisation leaves out; the numbers are what simulated pairs with
    a parallax of 2 to 100 times the noise need to be honest.
    """
    inflation = 1.0 + curvature * (noise / max(parallax, noise)) ** 2
    covariance = observed_covariance(inflation * steps, translation)
    covariance[:3, :3] += UNOBSERVED * inflation * np.outer(translation, translation)
    return covariance


def turn_covariance(steps: np.ndarray) -> np.ndarray:
    """Covariance (6, 6) of a pose without translation: that of its rotation (3, 3), and nothing else is known."""
    covariance = unknown_covariance()
    covariance[3:, 3:] = _bounded(steps)
    return covariance


def to_gtsam(covariance: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Return the covariance (6, 6) of x in T exp(x), rotation first: what gtsam.BetweenFactorPose3 takes.

    rotation: (3, 3), of the pose.
    """
    jacobian = np.zeros((6, 6))
    jacobian[:3, 3:] = jacobian[3:, :3] = rotation.T
    return jacobian @ covariance @ jacobian.T


def from_gtsam(covariance: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Return the ROS covariance (6, 6) of one as `to_gtsam` gives it."""
    jacobian = np.zeros((6, 6))
    jacobian[:3, 3:] = jacobian[3:, :3] = rotation
    return jacobian @ covariance @ jacobian.T


def change_frame(
    T: np.ndarray, covariance: np.ndarray, T_base_camera: np.ndarray, T_newer: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Turn a relative pose (4, 4) of a camera and its covariance (6, 6) into those of the base that carries it.

    T_base_camera: at the older image; T_newer: at the newer one, None for the same (no gimbal). Both without error.
    T' = X T Y^-1 with X = T_base_camera and Y = T_newer, so dw' = Rx dw and dt' = Rx dt + (R' ty) x dw'.
    """
    newer = T_base_camera if T_newer is None else T_newer
    moved = compose(T_base_camera, T, inverse(newer))
    turn = T_base_camera[:3, :3]
    jacobian = np.zeros((6, 6))
    jacobian[:3, :3] = jacobian[3:, 3:] = turn
    jacobian[:3, 3:] = skew(moved[:3, :3] @ newer[:3, 3]) @ turn
    return moved, jacobian @ covariance @ jacobian.T


def _bounded(covariance: np.ndarray) -> np.ndarray:
    """Return a covariance of angles between what no matcher reaches and what says nothing."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return (vectors * np.clip(values, _LEAST, UNKNOWN_ROTATION)) @ vectors.T
