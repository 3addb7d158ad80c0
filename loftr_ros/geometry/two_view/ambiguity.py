"""Which of several poses that explain the matches alike is meant: by likelihood and by what is known beforehand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perception_common.geometry import angle_between, rotation_angle, so3_log

LEVEL = np.radians(10.0)  # how level the ground is, standard deviation
STEADY_DIRECTION = np.radians(20.0)  # how much a vehicle changes course between two pairs
STEADY_ROTATION = np.radians(10.0)  # and its turn


@dataclass(frozen=True, eq=False)
class MotionPrior:
    """What is known of the motion before any match is seen; used to choose, never to bend the estimate.

    down: (3,) direction of gravity in the older camera, of any length, where the plane seen is the ground.
    motion: (4, 4) expected pose of the newer camera in the older one, such as the last motion; of its translation only
    the direction counts, and 0 says nothing.
    """

    down: np.ndarray | None = None
    motion: np.ndarray | None = None

    def log_density(self, rotation: np.ndarray, translation: np.ndarray, normal: np.ndarray) -> float:
        """Logarithm of the prior density of a pose and its plane, up to a constant.

        normal: (3,) of the plane in the older camera, away from it.
        """
        squares = 0.0
        if self.down is not None:
            squares += _squared(angle_between(normal, self.down), LEVEL)
        if self.motion is not None:
            squares += _squared(rotation_angle(self.motion[:3, :3].T @ rotation), STEADY_ROTATION)
            squares += _squared(angle_between(translation, self.motion[:3, 3]), STEADY_DIRECTION)
        return -0.5 * squares


NO_PRIOR = MotionPrior()


def posterior(log_densities: list[float]) -> np.ndarray:
    """Probabilities (K,) of alternatives from the logarithms of their likelihoods times priors."""
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
    """Covariance (6, 6), ROS order, that the chance of having chosen wrongly adds to a pose.

    It is the second moment of the others about the choice.
    """
    covariance = np.zeros((6, 6))
    for other in others:
        difference = np.concatenate([other.translation - translation, so3_log(other.rotation @ rotation.T)])
        covariance += other.probability * (other.covariance + np.outer(difference, difference))
    return covariance


def _squared(angle: float, deviation: float) -> float:
    return 0.0 if np.isnan(angle) else (angle / deviation) ** 2
