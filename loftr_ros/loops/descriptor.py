"""A descriptor of a whole image from its local features: images of one place have similar ones, turned or not.

Second-order pooling (Lin et al., "Bilinear CNN Models", ICCV 2015): the covariance of the features over the image, in a
random sketch (Gao et al., "Compact Bilinear Pooling", CVPR 2016, algorithm 1, random Maclaurin). The sketch keeps
scalar products of covariances in expectation. Nothing is learned.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

LENGTH = 512  # numbers; with 256 the best candidate is wrong a little more often, more does not help (empirical)
_SEED = 0


def describe(covariance: np.ndarray) -> np.ndarray:
    """Return the descriptor (LENGTH,) float16 of length 1 of an image; 0 for features that are all equal.

    covariance: (C, C), of its local features over the image.
    """
    left, right = _projections(len(covariance))
    sketch = (left * (covariance.astype(np.float64) @ right)).sum(axis=0)
    return (sketch / max(float(np.linalg.norm(sketch)), 1e-30)).astype(np.float16)


def similarities(descriptor: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Cosines (N,) between a descriptor (D,) and others (N, D), after the mean of the others is taken out.

    The mean is what all images of a flight have in common.
    """
    if len(others) == 0:
        return np.zeros(0)
    others = others.astype(np.float64)
    mean = others.mean(axis=0)
    a, b = descriptor - mean, others - mean
    return b @ a / np.maximum(np.linalg.norm(a) * np.linalg.norm(b, axis=1), 1e-30)


@lru_cache(maxsize=4)
def _projections(channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Two random sign matrices (channels, LENGTH)."""
    signs = np.random.default_rng([_SEED, channels]).integers(0, 2, (2, channels, LENGTH)) * 2.0 - 1.0
    return signs[0], signs[1]
