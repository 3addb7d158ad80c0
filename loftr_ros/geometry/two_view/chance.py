"""Whether the inliers of an essential matrix may be there by chance.

Among many wrong matches some always agree with some essential matrix. How many do by chance follows from how often a
wrong match lies so near its epipolar line (Moisan and Stival, "A probabilistic criterion to detect rigid point matches
between two images and estimate the fundamental matrix", IJCV 2004).
"""

from __future__ import annotations

from math import inf, lgamma, log

import numpy as np

SAMPLE = 5  # matches that determine an essential matrix
SOLUTIONS = 10  # essential matrices that five matches give at most (Nister, PAMI 2004)
BAND = 4.0  # inlier distances; matches beyond one and within this many tell the density of wrong ones near the lines


def log_chance_sets(distances: np.ndarray, limit: float, extent: float) -> float:
    """Return the natural logarithm of how many sets of as many inliers are expected among wrong matches.

    distances: (N,), Sampson distances of all matches, pixels. limit: that of an inlier. extent: half the mean side of
    the images, pixels. Points of wrong matches are taken as uniform over the image, and as denser near the epipolar
    lines where the matches beyond the limit are: those of similar places are displaced alike.
    """
    matches, inliers = len(distances), int((distances < limit).sum())
    if inliers <= SAMPLE:
        return inf
    # A Sampson distance of d is sqrt(2) d in one image. The band of that half width around a line that crosses the
    # image along its diagonal, 2 sqrt(2) extent, has this share of its area, (2 extent)^2.
    uniform = 2.0 * limit / extent
    nearby = int((distances < BAND * limit).sum()) - inliers
    share = min(1.0, max(uniform, nearby / (BAND - 1) / matches))
    sets = lgamma(matches + 1) - lgamma(inliers + 1) - lgamma(matches - inliers + 1)
    return log(SOLUTIONS) + sets + (inliers - SAMPLE) * log(share)
