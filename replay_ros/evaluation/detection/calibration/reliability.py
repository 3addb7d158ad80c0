"""Reliability of scores: the share of right boxes among those of a score, and the expected calibration error."""

from __future__ import annotations

import numpy as np

from replay_ros.evaluation.detection.results import Reliability, ReliabilityBin

BINS = 10  # of equal width, as Guo et al. 2017 (arXiv 1706.04599) and the detection calibration error use


def measure_reliability(scores: np.ndarray, is_hit: np.ndarray, from_score: float) -> Reliability:
    """Compare the scores (N,) of boxes with whether they are right, (N,) bool.

    from_score: lowest score that counts. The error is that of Guo et al. 2017, equation 5: the difference between mean
    score and share of hits of each bin, weighted by the number of its boxes; None without boxes. Bins without boxes
    are left out.
    """
    counted = scores >= from_score
    scores, is_hit = np.asarray(scores, np.float64)[counted], np.asarray(is_hit, bool)[counted]
    number = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    bins = []
    for index in np.unique(number).tolist():
        inside = number == index
        bins.append(
            ReliabilityBin(
                low=index / BINS,
                high=(index + 1) / BINS,
                count=int(inside.sum()),
                score=float(scores[inside].mean()),
                precision=float(is_hit[inside].mean()),
            )
        )
    gaps = sum(each.count * abs(each.score - each.precision) for each in bins)
    return Reliability(gaps / len(scores) if len(scores) else None, from_score, tuple(bins))
