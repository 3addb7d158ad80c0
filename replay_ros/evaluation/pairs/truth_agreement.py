"""Whether the matches of pairs agree with the true poses: an evaluation can be no better than its truth.

The matches that agree on one motion lie near the epipolar lines of that motion, and near those of the true one if both
are right. Where they do not, the estimate is wrong, or the truth or the calibration is. Matchers that err independently
and contradict the truth by the same distances speak against the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loftr_ros.geometry.rays import ray_pairs
from loftr_ros.geometry.two_view.essential import EssentialMotion
from perception_common.cameras.camera import Camera
from perception_common.geometry import inverse
from replay_ros.evaluation.pairs.metrics import PairErrors


@dataclass(frozen=True)
class TruthAgreement:
    """Summary of the pairs whose inliers can be compared with the truth.

    threshold: of the inliers, pixels. contradicted: number of pairs that have most of their inliers farther than it
    from the true epipolar lines. estimate_px, truth_px: medians over the pairs, see `PairErrors`.
    """

    pairs: int
    contradicted: int
    threshold: float
    estimate_px: float
    truth_px: float

    @property
    def sentence(self) -> str:
        """The figures in words."""
        return (
            f"in {self.contradicted} of {self.pairs} pairs most inliers lie farther than {self.threshold:g} px from "
            f"their true epipolar lines (medians of the pairs: {self.truth_px:.2f} px from the true lines, "
            f"{self.estimate_px:.2f} px from the estimated ones); where other matchers show the same, the truth or the "
            "calibration limits the figures"
        )


def epipolar_distances(
    points_a: np.ndarray,
    points_b: np.ndarray,
    camera_a: Camera,
    camera_b: Camera,
    estimated: np.ndarray | None,
    true: np.ndarray,
    threshold: float,
) -> tuple[float | None, float | None]:
    """Return the median distances of the inliers to the estimated and to the true epipolar lines, pixels.

    points_a, points_b: (N, 2), pixels; those within `threshold` pixels of the estimated lines are inliers. estimated,
    true: T_ab (4, 4). None where a motion has no translation, so no epipolar lines, or there is no inlier.
    """
    if estimated is None or not np.any(estimated[:3, 3]) or not np.any(true[:3, 3]):
        return None, None
    pairs, _ = ray_pairs(points_a, points_b, camera_a, camera_b)
    from_estimate, from_truth = (
        np.abs(EssentialMotion(T[:3, :3], T[:3, 3] / np.linalg.norm(T[:3, 3])).residuals(pairs)[:, 0])
        for T in (inverse(estimated), inverse(true))
    )
    near = from_estimate < threshold
    if not near.any():
        return None, None
    return float(np.median(from_estimate[near])), float(np.median(from_truth[near]))


def agreement_of_pairs(errors: Sequence[PairErrors], threshold: float) -> TruthAgreement | None:
    """Summarise the pairs with distances; None without any. threshold: of the estimator, pixels."""
    compared = [(each.estimate_px, each.truth_px) for each in errors if each.truth_px is not None]
    if not compared:
        return None
    from_estimate, from_truth = np.array(compared, np.float64).T
    return TruthAgreement(
        pairs=len(compared),
        contradicted=int((from_truth > threshold).sum()),
        threshold=threshold,
        estimate_px=float(np.median(from_estimate)),
        truth_px=float(np.median(from_truth)),
    )
