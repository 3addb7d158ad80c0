"""Which matches near their epipolar line lie at a depth that the others make likely.

The distance to an epipolar line says nothing of the place along it. A wrong match that falls near its line by chance
counts as a right one there, but lies hundreds of pixels from where its neighbours went, as if it were a point next to
the camera: few of them turn the direction of the translation by far more than the noise of all right ones. So the
offset from the dominant plane is looked at too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from loftr_ros.geometry.homography import homography_residuals
from loftr_ros.geometry.rays import RayPairs

_ITERATIONS = 5


def weighed_by_relief(pairs: RayPairs, H: np.ndarray, responsibility: np.ndarray) -> RayPairs:
    """Return the matches with the odds that their offsets from the plane of H (3, 3) give for being right.

    responsibility: (N,), probability to be right by the distance to the epipolar line alone.
    Offsets d of right matches, due to relief, have the density exp(-d / b) / b, the one of largest entropy for a mean
    b, which is found by expectation maximisation; wrong ones are spread evenly, with density 1 / extent.
    """
    offsets = np.linalg.norm(homography_residuals(pairs, H), axis=1)
    near = responsibility > 0.5
    if not near.any():
        return pairs
    given = responsibility / np.maximum(1.0 - responsibility, 1e-12)
    mean = float(np.median(offsets[near])) / np.log(2)
    for _ in range(_ITERATIONS):
        mean = float(np.clip(mean, 1e-3, pairs.extent))
        odds = pairs.extent / mean * np.exp(-np.minimum(offsets / mean, 200.0))
        weight = given * odds / (1.0 + given * odds)
        mean = float(weight @ offsets / weight.sum())
    return replace(pairs, odds=odds)
