"""The noise of matches: a mixture of normally distributed right matches and uniformly distributed wrong ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

NOISE_FLOOR = 0.05  # pixels; below the precision of any matcher, it keeps sigma away from 0 on exact matches


@dataclass(frozen=True)
class Noise:
    """Mixture of right matches, residuals ~ N(0, sigma^2), and wrong ones, uniform over +-extent; pixels.

    Its negative logarithm is the robust loss of the refinement: quadratic near 0, constant far away (Torr and
    Zisserman, "MLESAC", CVIU 2000, section 3). inlier_ratio: fraction of right matches. Residuals are (N, k): k = 1 for
    the distance to an epipolar line, 2 for that to a point. judged: the leading components by which matches count as
    right or wrong; the default is all. `odds` of the methods: as in RayPairs.
    """

    sigma: float
    inlier_ratio: float
    extent: float
    judged: int = 2

    def responsibility(self, residuals: np.ndarray, odds: np.ndarray | float = 1.0) -> np.ndarray:
        """Posterior probability (N,) of each match to be right, given its residuals (N, k)."""
        inside, outside = self.densities(residuals)
        inside = odds * inside
        return inside / (inside + outside)

    def log_likelihood(self, residuals: np.ndarray, odds: np.ndarray | float = 1.0) -> float:
        """Log-likelihood of all residuals (N, k)."""
        inside, outside = self.densities(residuals)
        return float(np.log(odds * inside + outside).sum())

    def updated(self, residuals: np.ndarray, responsibility: np.ndarray, parameters: int, max_sigma: float) -> Noise:
        """One maximisation step of expectation maximisation; sigma stays between NOISE_FLOOR and `max_sigma`.

        responsibility: (N,), of the residuals (N, k). parameters: number of parameters that were fitted to the
        residuals; they are subtracted from the degrees of freedom.
        """
        residuals = residuals[:, : self.judged]
        count = float(responsibility.sum())
        freedom = max(residuals.shape[1] * count - parameters, 1.0)
        sigma = float(np.sqrt(responsibility @ squared_lengths(residuals) / freedom))
        inlier_ratio = float(np.clip(count / max(len(residuals), 1), 0.01, 0.99))
        return replace(self, sigma=min(max(sigma, NOISE_FLOOR), max_sigma), inlier_ratio=inlier_ratio)

    def densities(self, residuals: np.ndarray) -> tuple[np.ndarray, float]:
        """Weighted densities of the residuals (N, k) as right matches, (N,), and as wrong ones, the same for all."""
        residuals = residuals[:, : self.judged]
        dimension = residuals.shape[1]
        squares = squared_lengths(residuals) / self.sigma**2
        inside = self.inlier_ratio * (np.sqrt(2 * np.pi) * self.sigma) ** -dimension * np.exp(-0.5 * squares)
        return inside, (1 - self.inlier_ratio) * (2 * self.extent) ** -dimension


def squared_lengths(residuals: np.ndarray) -> np.ndarray:
    """Squared lengths (N,) of residuals (N, k)."""
    return np.einsum("nk,nk->n", residuals, residuals)
