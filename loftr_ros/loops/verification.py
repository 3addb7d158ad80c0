"""Whether a matched pair of keyframes closes a loop: enough evidence in both images, and no contradiction.

A wrong closure bends a whole map, a missing one costs little, so in doubt a pair is refused.
"""

from __future__ import annotations

import numpy as np

from loftr_ros.geometry.scale.result import ScaleSource, scaled
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.loops.drift import ExpectedMotion, with_standing
from loftr_ros.matches import Matches
from loftr_ros.pair_estimation import PairMotion
from loftr_ros.trajectory.covariance import with_length
from perception_common.geometry import so3_log

CELLS = 6  # parts of an image in each direction, to see how far inliers spread
MIN_INLIERS, MIN_SHARE, MIN_CELLS = 30, 0.35, 8  # inliers, their share of the matches, parts with inliers (empirical)
# Where no trajectory says that it is the same place, the images alone have to.
ALONE_INLIERS, ALONE_SHARE, ALONE_CELLS = 60, 0.5, 12
GATE = 27.86  # 99.99 % quantile of chi2 with six degrees of freedom
UNOBSERVED_LENGTH = 3.0  # standard deviation of a length that is not observed, over the expected one


def refusal(matches: Matches, estimate: PairMotion, expected: ExpectedMotion | None) -> str:
    """Return why a pair closes no loop; empty when it does. expected: None where the trajectory does not know."""
    inliers = estimate.motion.inliers
    if estimate.motion.geometry == Geometry.FAILED:
        return estimate.motion.reason or "no pose"
    alone = expected is None
    count, share, parts = (ALONE_INLIERS, ALONE_SHARE, ALONE_CELLS) if alone else (MIN_INLIERS, MIN_SHARE, MIN_CELLS)
    if inliers.sum() < count:
        return f"{inliers.sum()} inliers, fewer than {count}"
    if inliers.mean() < share:
        return f"{100 * inliers.mean():.0f} % of the matches agree, fewer than {100 * share:.0f} %"
    found = min(_parts(matches.points0[inliers], matches.size0), _parts(matches.points1[inliers], matches.size1))
    if found < parts:
        return f"inliers in {found} of {CELLS**2} parts of an image, fewer than {parts}"
    if expected is None:
        return ""
    square = disagreement(estimate, expected)
    return f"{np.sqrt(square):.1f} standard deviations off the trajectory" if square > GATE else ""


def disagreement(estimate: PairMotion, expected: ExpectedMotion) -> float:
    """Squared Mahalanobis distance between the motion of a pair, which has not failed, and that of the trajectory."""
    motion = estimate.motion
    translation, covariance = scaled(motion.translation, motion.covariance, estimate.scale)
    if motion.geometry == Geometry.ROTATION_ONLY:
        covariance = with_standing(covariance, expected.depth)
    elif estimate.scale.source == ScaleSource.UNKNOWN:
        length = float(np.linalg.norm(expected.T[:3, 3]))
        covariance = with_length(covariance, translation, length, UNOBSERVED_LENGTH * length)
        translation = length * translation
    turn = so3_log(motion.rotation @ expected.T[:3, :3].T)
    error = np.concatenate([translation - expected.T[:3, 3], turn])
    return float(error @ np.linalg.pinv(covariance + expected.covariance, hermitian=True) @ error)


def _parts(points: np.ndarray, size: tuple[int, int]) -> int:
    """Count the parts of an image, CELLS x CELLS, that have points (N, 2), pixels."""
    cell = np.floor((points + 0.5) / np.array(size) * CELLS).clip(0, CELLS - 1)
    return len(np.unique(cell, axis=0))
