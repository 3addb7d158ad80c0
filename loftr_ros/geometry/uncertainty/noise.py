"""How noisy matches are, and which of them are wrong: a normal distribution among evenly spread wrong ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

FLOOR = 0.05  # pixels; no matcher is better, and no residual is trusted to be smaller


@dataclass(frozen=True)
class Noise:
    """A mixture of right matches, residuals ~ N(0, sigma^2), and wrong ones, uniform over +-extent; pixels.

    Its negative logarithm is the robust loss of the refinement: quadratic near 0 and flat far away (Torr and
    Zisserman, "MLESAC", CVIU 2000, section 3). right: fraction of right matches. Residuals are (N, k): k = 1 for the
    distance to an epipolar line, 2 for that to a point. odds: (N,), what else speaks for a match to be right.
    """

    sigma: float
    right: float
    extent: float

    def responsibility(self, residuals: np.ndarray, odds: np.ndarray | float = 1.0) -> np.ndarray:
        """Probability (N,) that a match with these residuals is a right one."""
        inside, outside = self.densities(residuals)
        inside = odds * inside
        return inside / (inside + outside)

    def log_likelihood(self, residuals: np.ndarray, odds: np.ndarray | float = 1.0) -> float:
        """Logarithm of the density of all residuals."""
        inside, outside = self.densities(residuals)
        return float(np.log(odds * inside + outside).sum())

    def updated(self, residuals: np.ndarray, responsibility: np.ndarray, parameters: int, highest: float) -> Noise:
        """One step of expectation maximisation; sigma stays between FLOOR and `highest`.

        responsibility: (N,) of the residuals. parameters: of the model that left them; they are taken from the degrees
        of freedom.
        """
        count = float(responsibility.sum())
        freedom = max(residuals.shape[1] * count - parameters, 1.0)
        sigma = float(np.sqrt(responsibility @ squared_lengths(residuals) / freedom))
        right = float(np.clip(count / max(len(residuals), 1), 0.01, 0.99))
        return replace(self, sigma=min(max(sigma, FLOOR), highest), right=right)

    def densities(self, residuals: np.ndarray) -> tuple[np.ndarray, float]:
        """Densities of the residuals (N, k) as right matches (N,), and as wrong ones (the same for all)."""
        dimension = residuals.shape[1]
        squares = squared_lengths(residuals) / self.sigma**2
        inside = self.right * (np.sqrt(2 * np.pi) * self.sigma) ** -dimension * np.exp(-0.5 * squares)
        return inside, (1 - self.right) * (2 * self.extent) ** -dimension


def squared_lengths(residuals: np.ndarray) -> np.ndarray:
    """Sums (N,) of the squares of residuals (N, k)."""
    return np.einsum("nk,nk->n", residuals, residuals)
