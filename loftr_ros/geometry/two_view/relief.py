"""Prior odds of matches from their offset to the dominant plane, for matches that an epipolar line cannot tell apart.

The distance to an epipolar line says nothing about the position along the line. A wrong match that falls near its line
by chance counts as an inlier there, though it may lie hundreds of pixels from where its neighbours moved, like a point
right in front of the camera. A few such matches turn the direction of the translation by far more than the noise of all
right ones. Their offset from the homography of the dominant plane exposes them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.two_view.homography.sampson import homography_residuals

# Start and bounds of expectation maximisation (empirical).
_ITERATIONS = 8
_RELIEF_OVER_GROUND = 5.0  # ratio of the two mean offsets at the start
_SHARES = ((0.8,), (0.2,))  # of ground and relief at the start
_MIN_MEAN = 1e-3  # pixels
_MAX_MEAN = 0.2  # of the extent; with a larger mean the density is close to the uniform one of wrong matches


def weighed_by_relief(pairs: RayPairs, H: np.ndarray, responsibility: np.ndarray) -> RayPairs:
    """Return the matches with the odds that follow from their offsets from the plane of H (3, 3).

    responsibility: (N,), probability of each match to be right by its distance to the epipolar line alone.

    The offsets of right matches have a mixture of two exponential densities (the maximum-entropy density for a given
    mean): the ground, and what rises from it. Wrong offsets are uniform with density 1 / extent. Expectation
    maximisation finds the means and shares of the two right components.
    """
    offsets = np.linalg.norm(homography_residuals(pairs, H), axis=1)
    near = responsibility > 0.5
    if not near.any():
        return pairs
    given = responsibility / np.maximum(1.0 - responsibility, 1e-12)
    ground = float(np.median(offsets[near])) / np.log(2)  # mean of an exponential density from its median
    means, shares = np.array([[ground], [_RELIEF_OVER_GROUND * ground]]), np.array(_SHARES)
    for _ in range(_ITERATIONS):
        means = np.clip(means, _MIN_MEAN, _MAX_MEAN * pairs.extent)
        parts = shares * pairs.extent / means * np.exp(-np.minimum(offsets / means, 200.0))
        odds = parts.sum(axis=0)
        weights = given * parts / (1.0 + given * odds)
        sums = np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
        means, shares = weights @ offsets[:, None] / sums, sums / sums.sum()
    return replace(pairs, odds=odds)
