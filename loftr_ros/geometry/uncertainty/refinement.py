"""Maximum-likelihood refinement of a motion: Levenberg-Marquardt steps alternate with updates of the noise mixture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.uncertainty.noise import Noise, squared_lengths

MAX_ITERATIONS = 30
CONVERGED = 0.02  # standard deviations: a step that short adds nothing to the error of the estimate
_SETTLED = 3e-3  # relative change of sigma between iterations (empirical)


class Motion(Protocol):
    """A point on a manifold with p degrees of freedom that predicts k residuals per match."""

    def residuals(self, pairs: RayPairs) -> np.ndarray:
        """Residuals (N, k), pixels, each with standard deviation sigma where the weight is 1."""

    def jacobian(self, pairs: RayPairs) -> np.ndarray:
        """Derivative (N, k, p) of the residuals by a step."""

    def gradient(self, pairs: RayPairs, weights: np.ndarray) -> np.ndarray:
        """Half the derivative (p,) of the weighted sum of squared residuals by a step."""

    def moved(self: M, step: np.ndarray) -> M:
        """The motion after a step (p,)."""


M = TypeVar("M", bound=Motion)


@dataclass(frozen=True, eq=False)
class Refined(Generic[M]):
    """A local maximum of the likelihood.

    noise: of the weighted residuals. residuals: (N, k), pixels. weights: (N,), of the matches times their probability
    to be right. information: (p, p), J'WJ; divided by sigma^2 it is the Gauss-Newton approximation of the Fisher
    information. log_likelihood: of the weighted residuals.
    """

    motion: M
    noise: Noise
    residuals: np.ndarray
    weights: np.ndarray
    information: np.ndarray
    log_likelihood: float

    @property
    def distances(self) -> np.ndarray:
        """Lengths (N,) of the residuals, pixels."""
        return np.linalg.norm(self.residuals, axis=1)


def refine(
    pairs: RayPairs,
    motion: M,
    noise: Noise,
    max_sigma: float,
    tolerance: float = CONVERGED,
    iterations: int = MAX_ITERATIONS,
) -> Refined[M]:
    """Climb from `motion` and `noise` to the nearest maximum of the likelihood.

    max_sigma: upper bound of sigma, pixels. tolerance: stop at a step shorter than that, in standard deviations of the
    motion. iterations: at most that many.
    """
    residuals = motion.residuals(pairs)
    damping = 1e-3
    for left in reversed(range(iterations)):
        J = motion.jacobian(pairs)
        before = noise
        weighted = pairs.root_weights * residuals
        responsibility = noise.responsibility(weighted, pairs.odds)
        noise = noise.updated(weighted, responsibility, J.shape[2], max_sigma)
        weights = responsibility * pairs.weights
        A, b = _normal_equations(J, weights, residuals)
        step = np.linalg.solve(A + np.diag(damping * np.diag(A) + 1e-9 * np.trace(A) + 1e-12), -b)
        gain = -(step @ b) * (1.0 + damping)  # predicted decrease of the sum of squares by a step without damping
        is_settled = abs(noise.sigma - before.sigma) < _SETTLED * noise.sigma
        if not np.isfinite(step).all() or (gain < (tolerance * noise.sigma) ** 2 and is_settled) or not left:
            break
        tried = motion.moved(step)
        tried_residuals = tried.residuals(pairs)
        if weights @ squared_lengths(tried_residuals) <= weights @ squared_lengths(residuals):
            motion, residuals, damping = tried, tried_residuals, max(damping / 10, 1e-9)
        else:
            damping *= 10
    log_likelihood = noise.log_likelihood(pairs.root_weights * residuals, pairs.odds)
    return Refined(motion, noise, residuals, weights, A, log_likelihood)


def _normal_equations(J: np.ndarray, weights: np.ndarray, residuals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """J'WJ (p, p) and J'Wr (p,); one product per residual component is faster than reordering J."""
    A, b = 0.0, 0.0
    for k in range(J.shape[1]):
        weighted = J[:, k].T * weights
        A, b = A + weighted @ J[:, k], b + weighted @ residuals[:, k]
    return np.asarray(A), np.asarray(b)
