"""Heights of matches above the ground: how much of an offset from the ground plane is height, and how much is noise.

Noise has no sign, and heights have one. So a least-squares plane lies as far above the ground as grass, kerbs and cars
are high in the mean. Here heights are a part of the model: a mixture of normal distributions, most of them of positive
heights, whose shares are estimated together with the plane by expectation maximisation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

# Empirical, means and standard deviations over the distance: flat ground, uneven ground, and grass to houses.
_OBJECTS = 0.004 * 3.0 ** np.arange(5)
_MEANS = np.array([0.0, 0.0, 0.0, *_OBJECTS])
_SPREADS = np.array([0.0, 0.004, 0.012, *(0.5 * _OBJECTS)])
_SHARES = np.array([0.2, 0.2, 0.2, *[0.08] * 5])  # at the start
_WRONG = 0.02  # share of matches whose inverse depth is wrong, uniform over +- that of the plane
_PRIOR_MATCHES = 3.0  # as many as the shares at the start count in their estimate
_SEPARATE = 1.0  # standard deviations of the noise; lower heights cannot be told from it


@dataclass(frozen=True, eq=False)
class Heights:
    """The distribution of heights over the distance. means, spreads, prior, shares: (K,). wrong: share of the matches.

    prior: the shares before any match is seen.
    """

    means: np.ndarray
    spreads: np.ndarray
    prior: np.ndarray
    shares: np.ndarray
    wrong: float = _WRONG

    @classmethod
    def above(cls, noise: float) -> Heights:
        """Return the heights that can be told from a noise, over the distance, with their shares in most scenes."""
        kept = (np.maximum(_MEANS, _SPREADS) == 0.0) | (np.maximum(_MEANS, _SPREADS) > _SEPARATE * noise)
        shares = _SHARES[kept] / _SHARES[kept].sum()
        return cls(_MEANS[kept], _SPREADS[kept], prior=shares, shares=shares)

    def explain(self, offsets: np.ndarray, expected: np.ndarray, variance: np.ndarray) -> ExplainedOffsets:
        """Split offsets (N,) of inverse depths from the plane into height and noise.

        expected: (N,), inverse depths of the plane. variance: (N,), of the noise. A point at a height of h of the
        distance has an inverse depth that is larger by about h of that of the plane.
        """
        scale = np.maximum(expected, 1e-12)
        means = self.means[:, None] * scale
        spreads = (self.spreads[:, None] * scale) ** 2
        total = variance + spreads
        log_density = np.log(self.shares)[:, None] - 0.5 * ((offsets - means) ** 2 / total + np.log(2 * np.pi * total))
        highest = log_density.max(axis=0)
        density = np.exp(log_density - highest)
        posterior = density / density.sum(axis=0)
        log_odds = highest + np.log(density.sum(axis=0)) + np.log(2.0 * scale * (1.0 - self.wrong) / self.wrong)
        height = means + spreads / total * (offsets - means)
        mean = np.einsum("kn,kn->n", posterior, height)
        square = np.einsum("kn,kn->n", posterior, spreads * variance / total + height**2)
        right = 1.0 / (1.0 + np.exp(-np.clip(log_odds, -50.0, 50.0)))
        return ExplainedOffsets(self, right, posterior, mean, square - mean**2)


@dataclass(frozen=True, eq=False)
class ExplainedOffsets:
    """The parts of N offsets. right: (N,), probability that a match is right. posterior: (K, N), of its heights.

    mean, variance: (N,), of the part of the offset that is height, if the match is right.
    """

    heights: Heights
    right: np.ndarray
    posterior: np.ndarray
    mean: np.ndarray
    variance: np.ndarray

    def relearned(self) -> Heights:
        """Return the heights with the shares that the matches have: a step of expectation maximisation."""
        counts = self.posterior @ self.right + _PRIOR_MATCHES * self.heights.prior
        wrong = float(np.sum(1.0 - self.right) + _PRIOR_MATCHES * _WRONG)
        return replace(self.heights, shares=counts / counts.sum(), wrong=wrong / float(counts.sum() + wrong))
