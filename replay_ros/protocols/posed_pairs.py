"""Pose AUC over pairs of known pose, by the protocol of SuperGlue and LoFTR; shared by ScanNet and MegaDepth.

The error of a pair is the larger of the rotation angle and the angle between the translations. As in their code,
opposite translations count as equal (min(angle, 180 - angle)), so that the figures compare with published ones. The AUC
with the sign of the translation is noted beside it ("signed").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from tqdm import tqdm

from loftr_ros.geometry.accuracy import AUC_LIMITS, area_under_recall, pose_degrees
from loftr_ros.image_matcher import MatcherSettings
from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from perception_common.geometry import pose_error
from replay_ros.evaluation.pairs.estimators import PoseEstimator, estimate_pose
from replay_ros.evaluation.pairs.matchers import UNRESIZED
from replay_ros.evaluation.pairs.predictions import MatcherOptions, Predictor, load_predictors
from replay_ros.protocols.result import PairOutcome, ProtocolResult, left_out_note

CACHED_IMAGES = 32  # images kept in memory


@dataclass(frozen=True, eq=False)
class PosedPair:
    """Two images. K_a, K_b: (3, 3), in pixels of the image that `PairView.to_camera` maps to. T_ab: (4, 4), a to b."""

    name: str
    path_a: Path
    path_b: Path
    K_a: np.ndarray
    K_b: np.ndarray
    T_ab: np.ndarray


@dataclass(frozen=True, eq=False)
class PairView:
    """An image at the size at which a protocol matches it.

    gray: (H, W) uint8. to_camera: (3, 3), pixels of `gray` to pixels of the calibrated image, the unit of the
    thresholds. width, height: of the calibrated image.
    """

    gray: np.ndarray
    to_camera: np.ndarray
    width: int
    height: int


@dataclass(frozen=True)
class ImageSetting:
    """A size of the images. name: for the result. read_view: reads an image at this size."""

    name: str
    read_view: Callable[[Path], PairView]


def evaluate_poses(
    pairs: Sequence[PosedPair],
    matchers: MatcherOptions,
    settings: Sequence[ImageSetting],
    estimators: Sequence[PoseEstimator],
    matcher_settings: MatcherSettings = UNRESIZED,
) -> list[ProtocolResult]:
    """Evaluate every matcher with every image size and estimator. matcher_settings: of LoFTR. Raises InputError."""
    return [
        result
        for predictor in load_predictors(matchers, matcher_settings)
        for setting in settings
        for result in _evaluate_setting(pairs, predictor, setting, estimators)
    ]


def _evaluate_setting(
    pairs: Sequence[PosedPair], predictor: Predictor, setting: ImageSetting, estimators: Sequence[PoseEstimator]
) -> list[ProtocolResult]:
    """Match each pair once; return a result for each estimator."""
    view = lru_cache(maxsize=CACHED_IMAGES)(setting.read_view)
    outcomes: dict[PoseEstimator, list[PairOutcome]] = {estimator: [] for estimator in estimators}
    left_out: list[str] = []
    for pair in tqdm(pairs, unit="pair", desc=f"{predictor.matcher.name}, {setting.name}", disable=None):
        try:
            a, b = view(pair.path_a), view(pair.path_b)
            matches = predictor.match(a.gray, b.gray)
        except InputError as fault:
            left_out.append(f"{pair.name}: {fault}")
            continue
        points_a, points_b = _moved(matches.points_a, a.to_camera), _moved(matches.points_b, b.to_camera)
        camera_a = Camera.from_matrix(pair.K_a, a.width, a.height)
        camera_b = Camera.from_matrix(pair.K_b, b.width, b.height)
        for estimator in estimators:
            pose = estimate_pose(points_a, points_b, camera_a, camera_b, estimator)
            error, signed = None, None
            if pose.T_ab is not None:
                error, signed = paper_error(pose.T_ab, pair.T_ab), pose_degrees(pose.T_ab, pair.T_ab)
            outcomes[estimator].append(PairOutcome(pair.name, len(matches), pose.inliers, error, signed))
    note = left_out_note(left_out, len(pairs))
    return [_result(estimator, found, predictor, setting.name, note) for estimator, found in outcomes.items()]


def _result(
    estimator: PoseEstimator, outcomes: Sequence[PairOutcome], predictor: Predictor, setting: str, note: tuple[str, ...]
) -> ProtocolResult:
    signed = (f"@{limit} {value:.2f}" for limit, value in _areas([each.signed_error for each in outcomes]))
    return ProtocolResult(
        setting=setting,
        matcher=predictor.matcher.name,
        weights_sha256=predictor.matcher.weights_sha256,
        estimator=f"{estimator.name}, {estimator.threshold:g} px",
        threshold=estimator.threshold,
        values={f"AUC@{limit}": value for limit, value in _areas([each.error for each in outcomes])},
        pairs=tuple(outcomes),
        notes=(*note, estimator.description, f"signed AUC {', '.join(signed)}"),
    )


def paper_error(estimated: np.ndarray, true: np.ndarray) -> float:
    """Error of a relative pose (4, 4) as in SuperGlue and LoFTR, degrees: translations count as equal up to sign.

    An estimate without translation has a direction error of 90 degrees, the largest possible one.
    """
    rotation, direction = pose_error(estimated, true)
    if not np.isfinite(direction):
        return rotation if not np.any(true[:3, 3]) else max(rotation, 90.0)
    return max(rotation, min(direction, 180.0 - direction))


def _areas(errors: Sequence[float | None]) -> list[tuple[int, float]]:
    """Return limits (degrees) and the AUC up to each, percent; None counts as a failure."""
    values = [np.inf if error is None else error for error in errors]
    return [(limit, 100 * area_under_recall(values, limit)) for limit in AUC_LIMITS]


def _moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Apply an affine (3, 3) to pixels (N, 2)."""
    return points @ matrix[:2, :2].T + matrix[:2, 2]
