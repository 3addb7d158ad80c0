"""Probabilities of several poses that explain the matches about equally well, from their likelihoods and a prior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perception_common.geometry import angle_between, rotation_angle, so3_log

# Standard deviations of the prior, for ground and vehicles in general (empirical).
PLANE_TILT = np.radians(10.0)  # angle between the normal of the plane in view and gravity
COURSE_CHANGE = np.radians(20.0)  # angle between the translations of two consecutive pairs
ROTATION_CHANGE = np.radians(10.0)  # angle between their rotations


@dataclass(frozen=True, eq=False)
class MotionPrior:
    """Prior knowledge about a motion, used to choose among candidates; it never changes a candidate.

    down: (3,) direction of gravity in the older camera, any length, if the plane in view is the ground. motion: (4, 4)
    expected pose of the newer camera in the older one, such as the last motion; only the direction of its translation
    is used, and a translation of 0 is ignored.
    """

    down: np.ndarray | None = None
    motion: np.ndarray | None = None

    def log_density(self, rotation: np.ndarray, translation: np.ndarray, normal: np.ndarray) -> float:
        """Log-density of a pose (R (3, 3), t (3,)) and its plane under the prior, up to a constant.

        normal: (3,) of the plane in the older camera, pointing away from the camera.
        """
        squares = 0.0
        if self.down is not None:
            squares += _squared(angle_between(normal, self.down), PLANE_TILT)
        if self.motion is not None:
            squares += _squared(rotation_angle(self.motion[:3, :3].T @ rotation), ROTATION_CHANGE)
            squares += _squared(angle_between(translation, self.motion[:3, 3]), COURSE_CHANGE)
        return -0.5 * squares


NO_PRIOR = MotionPrior()


def posterior(log_densities: list[float]) -> np.ndarray:
    """Probabilities (K,) of alternatives from the logarithms of likelihood times prior."""
    relative = np.exp(np.array(log_densities) - max(log_densities))
    return relative / relative.sum()


@dataclass(frozen=True, eq=False)
class Alternative:
    """A pose that was not chosen: its probability, rotation (3, 3), translation (3,) and covariance (6, 6)."""

    probability: float
    rotation: np.ndarray
    translation: np.ndarray
    covariance: np.ndarray


def spread_of_alternatives(rotation: np.ndarray, translation: np.ndarray, others: list[Alternative]) -> np.ndarray:
    """Covariance (6, 6), ROS order, to add to the chosen pose for the chance that another one is true.

    It is the second moment of the alternatives about the chosen pose (R (3, 3), t (3,)).
    """
    covariance = np.zeros((6, 6))
    for other in others:
        difference = np.concatenate([other.translation - translation, so3_log(other.rotation @ rotation.T)])
        covariance += other.probability * (other.covariance + np.outer(difference, difference))
    return covariance


def _squared(angle: float, deviation: float) -> float:
    """Squared angle in standard deviations; 0 for an undefined angle (NaN)."""
    return 0.0 if np.isnan(angle) else (angle / deviation) ** 2
