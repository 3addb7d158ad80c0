"""Pose AUC over pairs of known pose, as SuperGlue and LoFTR measure it; shared by ScanNet and MegaDepth.

The error of a pair is the larger of the rotation angle and the angle between the translations. As in their code,
opposite translations count as equal here (min(angle, 180 - angle)), so that figures compare with published ones; the
AUC without that indulgence is noted beside it ("signed").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from tqdm import tqdm

from loftr_ros.geometry.accuracy import AUC_LIMITS, area_under_recall, pose_degrees
from perception_common.cameras.camera import Camera
from perception_common.geometry import pose_error
from replay_ros.evaluation.pairs.estimators import describe, estimate_pose
from replay_ros.evaluation.pairs.predictions import Predictor
from replay_ros.protocols.result import PairOutcome, ProtocolResult

IMAGES = 32  # that are kept at a time


@dataclass(frozen=True, eq=False)
class PosedPair:
    """Two images. K_a, K_b: (3, 3), pixels of the frame that `PosedView.to_camera` leads to. T_ab: (4, 4), a to b."""

    name: str
    path_a: Path
    path_b: Path
    K_a: np.ndarray
    K_b: np.ndarray
    T_ab: np.ndarray


@dataclass(frozen=True, eq=False)
class PosedView:
    """An image as a protocol matches it.

    gray: (H, W) uint8. to_camera: (3, 3), its pixels to those of the intrinsics, in which thresholds are measured too.
    width, height: of the image of the intrinsics.
    """

    gray: np.ndarray
    to_camera: np.ndarray
    width: int
    height: int


def evaluate_poses(
    pairs: Sequence[PosedPair],
    predictor: Predictor,
    estimators: Sequence[tuple[str, float]],
    load: Callable[[Path], PosedView],
    setting: str,
) -> list[ProtocolResult]:
    """Match each pair once; return an outcome for each estimator and threshold. setting: of the images, in words."""
    view = lru_cache(maxsize=IMAGES)(load)
    found: dict[tuple[str, float], list[PairOutcome]] = {each: [] for each in estimators}
    for pair in tqdm(pairs, unit="pair", desc=f"{predictor.matcher.name}, {setting}", disable=None):
        a, b = view(pair.path_a), view(pair.path_b)
        matches = predictor.match(a.gray, b.gray)
        points_a, points_b = _moved(matches.points_a, a.to_camera), _moved(matches.points_b, b.to_camera)
        camera_a = Camera.from_matrix(pair.K_a, a.width, a.height)
        camera_b = Camera.from_matrix(pair.K_b, b.width, b.height)
        for name, threshold in estimators:
            pose = estimate_pose(points_a, points_b, camera_a, camera_b, name, threshold)
            error, signed = None, None
            if pose.T_ab is not None:
                error, signed = paper_error(pose.T_ab, pair.T_ab), pose_degrees(pose.T_ab, pair.T_ab)
            found[name, threshold].append(PairOutcome(pair.name, len(matches), pose.inliers, error, signed))
    return [
        ProtocolResult(
            setting=setting,
            matcher=predictor.matcher.name,
            weights_sha256=predictor.matcher.weights_sha256,
            estimator=f"{name}, {threshold:g} px",
            threshold=threshold,
            values={f"AUC@{limit}": value for limit, value in _areas([each.error for each in outcomes])},
            pairs=tuple(outcomes),
            notes=(
                describe(name, threshold),
                "signed AUC "
                + ", ".join(f"@{limit} {value:.2f}" for limit, value in _areas([o.signed_error for o in outcomes])),
            ),
        )
        for (name, threshold), outcomes in found.items()
    ]


def paper_error(estimated: np.ndarray, true: np.ndarray) -> float:
    """Error of a relative pose (4, 4) as in SuperGlue and LoFTR, degrees: translations count as equal up to sign.

    An estimate without translation is 90 degrees off, the most that can be.
    """
    rotation, direction = pose_error(estimated, true)
    if not np.isfinite(direction):
        return rotation if not np.any(true[:3, 3]) else max(rotation, 90.0)
    return max(rotation, min(direction, 180.0 - direction))


def _areas(errors: Sequence[float | None]) -> list[tuple[int, float]]:
    values = [np.inf if error is None else error for error in errors]
    return [(limit, 100 * area_under_recall(values, limit)) for limit in AUC_LIMITS]


def _moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Apply an affine (3, 3) to pixels (N, 2)."""
    return points @ matrix[:2, :2].T + matrix[:2, 2]
