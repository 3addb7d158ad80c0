"""Which matches near their epipolar line lie at a depth that the others make likely.

The distance to an epipolar line says nothing of the place along it. A wrong match that falls near its line by chance
counts as a right one there, but lies hundreds of pixels from where its neighbours went, as if it were a point next to
the camera: few of them turn the direction of the translation by far more than the noise of all right ones. So the
offset from the dominant plane is looked at too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.two_view.homography import homography_residuals

_ITERATIONS = 8
_RISE = 5.0  # the second mean over the first, to start with
_HIGHEST = 0.2  # of the extent, the largest mean: beyond it right and wrong offsets are alike


def weighed_by_relief(pairs: RayPairs, H: np.ndarray, responsibility: np.ndarray) -> RayPairs:
    """Return the matches with the odds that their offsets from the plane of H (3, 3) give for being right.

    responsibility: (N,), probability to be right by the distance to the epipolar line alone.
    Offsets of right matches have a mixture of two exponential densities, those of largest entropy for a given mean: the
    ground, and what rises from it. Their means and shares are found by expectation maximisation beside wrong matches,
    which are spread evenly, with density 1 / extent.
    """
    offsets = np.linalg.norm(homography_residuals(pairs, H), axis=1)
    near = responsibility > 0.5
    if not near.any():
        return pairs
    given = responsibility / np.maximum(1.0 - responsibility, 1e-12)
    ground = float(np.median(offsets[near])) / np.log(2)
    means, shares = np.array([[ground], [_RISE * ground]]), np.array([[0.8], [0.2]])
    for _ in range(_ITERATIONS):
        means = np.clip(means, 1e-3, _HIGHEST * pairs.extent)
        parts = shares * pairs.extent / means * np.exp(-np.minimum(offsets / means, 200.0))
        odds = parts.sum(axis=0)
        weights = given * parts / (1.0 + given * odds)
        sums = np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
        means, shares = weights @ offsets[:, None] / sums, sums / sums.sum()
    return replace(pairs, odds=odds)
