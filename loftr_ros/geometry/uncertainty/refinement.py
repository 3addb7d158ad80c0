"""Refinement of a motion on its manifold: Levenberg-Marquardt steps in turn with steps of the noise's mixture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.uncertainty.noise import Noise, squared_lengths

ITERATIONS = 30
_STEADY = 3e-3  # change of sigma, relative
CONVERGED = 0.02  # adds nothing to the error


class Motion(Protocol):
    """What can be refined: a point of a manifold with p directions to move in, explaining k numbers per match."""

    def residuals(self, pairs: RayPairs) -> np.ndarray:
        """Residuals (N, k), pixels, of standard deviation sigma each where weights are 1."""

    def jacobian(self, pairs: RayPairs) -> np.ndarray:
        """Derivative (N, k, p) of the residuals by a step."""

    def gradient(self, pairs: RayPairs, weights: np.ndarray) -> np.ndarray:
        """Half the derivative (p,) of the weighted sum of squares by a step."""

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


def refine(
    pairs: RayPairs,
    motion: M,
    noise: Noise,
    highest_noise: float,
    tolerance: float = CONVERGED,
    iterations: int = ITERATIONS,
) -> Refined[M]:
    """Climb from `motion` to the nearest maximum of the likelihood. highest_noise: bound of sigma, pixels.

    tolerance: length of the step that is not worth taking, in standard deviations of the motion. iterations: at most.
    """
    residuals = motion.residuals(pairs)
    damping = 1e-3
    for left in reversed(range(iterations)):
        J = motion.jacobian(pairs)
        before = noise
        responsibility = noise.responsibility(pairs.roots * residuals, pairs.odds)
        noise = noise.updated(pairs.roots * residuals, responsibility, J.shape[2], highest_noise)
        weights = responsibility * pairs.weights
        A, b = _normal_equations(J, weights, residuals)
        step = np.linalg.solve(A + np.diag(damping * np.diag(A) + 1e-9 * np.trace(A) + 1e-12), -b)
        gain = -(step @ b) * (1.0 + damping)  # what a step without damping would take from the sum of squares
        is_settled = abs(noise.sigma - before.sigma) < _STEADY * noise.sigma
        if not np.isfinite(step).all() or (gain < (tolerance * noise.sigma) ** 2 and is_settled) or not left:
            break
        tried = motion.moved(step)
        tried_residuals = tried.residuals(pairs)
        if weights @ squared_lengths(tried_residuals) <= weights @ squared_lengths(residuals):
            motion, residuals, damping = tried, tried_residuals, max(damping / 10, 1e-9)
        else:
            damping *= 10
    return Refined(motion, noise, residuals, weights, A, noise.log_likelihood(pairs.roots * residuals, pairs.odds))


def _normal_equations(J: np.ndarray, weights: np.ndarray, residuals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    A, b = 0.0, 0.0
    for k in range(J.shape[1]):  # whole rows: faster than any reordering of J
        weighted = J[:, k].T * weights
        A, b = A + weighted @ J[:, k], b + weighted @ residuals[:, k]
    return np.asarray(A), np.asarray(b)
