"""Refinement of a motion on its manifold: Levenberg-Marquardt steps in turn with steps of the noise's mixture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from loftr_ros.geometry.noise import Noise
from loftr_ros.geometry.rays import RayPairs

_ITERATIONS = 30
_CONVERGED = 1e-6  # length of a step, radians: far below what matches can tell


class Motion(Protocol):
    """What can be refined: a point of a manifold with p directions to move in, explaining k numbers per match."""

    def residuals(self, pairs: RayPairs) -> np.ndarray:
        """Residuals (N, k), pixels, of standard deviation sigma each where weights are 1."""

    def jacobian(self, pairs: RayPairs) -> np.ndarray:
        """Derivative (N, k, p) of the residuals by a step."""

    def moved(self: M, step: np.ndarray) -> M:
        """The motion after a step (p,)."""


M = TypeVar("M", bound=Motion)


@dataclass(frozen=True, eq=False)
class Refined(Generic[M]):
    """A maximum of the likelihood.

    noise: of the weighted residuals. residuals: (N, k), pixels. weights: (N,), probability of a match to be right
    times its own weight. information: (p, p), J'WJ; over sigma^2 it is that of Gauss and Newton. likelihood: logarithm.
    """

    motion: M
    noise: Noise
    residuals: np.ndarray
    weights: np.ndarray
    information: np.ndarray
    likelihood: float

    @property
    def distances(self) -> np.ndarray:
        """Lengths (N,) of the residuals, pixels."""
        return np.linalg.norm(self.residuals, axis=1)


def refine(pairs: RayPairs, motion: M, noise: Noise, highest_noise: float) -> Refined[M]:
    """Climb from `motion` to the nearest maximum of the likelihood. highest_noise: bound of sigma, pixels."""
    root = np.sqrt(pairs.weights)[:, None]
    residuals = motion.residuals(pairs)
    damping = 1e-3
    for _ in range(_ITERATIONS):
        J = motion.jacobian(pairs)
        noise = noise.updated(root * residuals, J.shape[2], highest_noise)
        weights = noise.responsibility(root * residuals) * pairs.weights
        A, b = _normal_equations(J, weights, residuals)
        step = np.linalg.solve(A + np.diag(damping * np.diag(A) + 1e-9 * np.trace(A) + 1e-12), -b)
        if not np.isfinite(step).all():
            break
        tried = motion.moved(step)
        tried_residuals = tried.residuals(pairs)
        if weights @ np.sum(tried_residuals**2, axis=1) <= weights @ np.sum(residuals**2, axis=1):
            motion, residuals, damping = tried, tried_residuals, max(damping / 10, 1e-9)
        else:
            damping *= 10
        if np.linalg.norm(step) < _CONVERGED or damping > 1e9:
            break
    J = motion.jacobian(pairs)
    noise = noise.updated(root * residuals, J.shape[2], highest_noise)
    weights = noise.responsibility(root * residuals) * pairs.weights
    information, _ = _normal_equations(J, weights, residuals)
    return Refined(motion, noise, residuals, weights, information, noise.log_likelihood(root * residuals))


def gradient(pairs: RayPairs, motion: Motion, weights: np.ndarray) -> np.ndarray:
    """Half the derivative (p,) of the weighted sum of squares by a step."""
    return _normal_equations(motion.jacobian(pairs), weights, motion.residuals(pairs))[1]


def _normal_equations(J: np.ndarray, weights: np.ndarray, residuals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = J.reshape(-1, J.shape[2])
    weighted = rows * np.repeat(weights, J.shape[1])[:, None]
    return weighted.T @ rows, weighted.T @ residuals.ravel()
