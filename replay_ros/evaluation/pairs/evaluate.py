"""Evaluates relative poses and homographies of image pairs against ground truth."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from loftr_ros.datasets.image_pairs import ImagePair, read_pairs, resizing
from loftr_ros.geometry.accuracy import FAILED_DEGREES, pose_degrees
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.image_matcher import shrink
from loftr_ros.turning.matching import Rotation
from loftr_ros.turning.quarter_turns import turn_image
from perception_common.cameras.camera import Camera
from perception_common.cameras.plausibility import camera_oddities
from perception_common.errors import InputError
from perception_common.images.pictures.files import read_gray, read_size
from replay_ros.evaluation.pairs.consistency import TruthDeviation, consistency_of_pairs, normalised_error
from replay_ros.evaluation.pairs.estimators import PoseEstimator, choose_estimators, estimate_pose
from replay_ros.evaluation.pairs.matchers import NO_PAIRS
from replay_ros.evaluation.pairs.metrics import PairErrors, PairSummary, corner_error, summarise_pairs
from replay_ros.evaluation.pairs.predictions import MatcherOptions, Predictor, load_predictors
from replay_ros.evaluation.pairs.rotation import match_pair, true_turns, turn_pair
from replay_ros.evaluation.pairs.truth_agreement import agreement_of_pairs, epipolar_distances

CACHED_IMAGES = 32  # images kept in memory
HOMOGRAPHY_PIXELS = 3.0  # RANSAC threshold, pixels of the matched images (OpenCV's default)
HOMOGRAPHIES = f"findHomography USAC_MAGSAC, {HOMOGRAPHY_PIXELS:g} px"


@dataclass(frozen=True)
class TurnedViews:
    """turns_b: quarter turns of image b before the evaluation. rotation: how the images are turned to be matched.

    With "auto" the turn nearest to the true rotation is expected, as sensors give it, and a pair with a homography has
    no expectation; see `TurnedMatcher`. Matchers that are invariant to rotation turn nothing.
    """

    turns_b: int = 0
    rotation: Rotation = "off"


UPRIGHT = TurnedViews()


@dataclass(frozen=True)
class PairEvaluationOptions:
    """What to evaluate: every combination of matchers, estimators with their thresholds, image sizes and turns.

    max_sides: long sides that images are shrunk to, pixels; 0: not shrunk. views: how images are turned. truth:
    deviation of the true poses; None: as the pairs state it.
    """

    matchers: MatcherOptions = field(default_factory=MatcherOptions)
    estimators: tuple[PoseEstimator, ...] = choose_estimators(("opencv",))
    max_sides: tuple[int, ...] = (640,)
    views: tuple[TurnedViews, ...] = (UPRIGHT,)
    truth: TruthDeviation | None = None


@dataclass(frozen=True, eq=False)
class MatchedView:
    """An image at the size at which it is matched. gray: (H, W) uint8. original_shape: (H, W) of the stored image."""

    gray: np.ndarray
    original_shape: tuple[int, int]

    @property
    def resizing(self) -> np.ndarray:
        """(3, 3), pixels of the stored image to those of the matched one."""
        return resizing(self.original_shape, self.gray.shape[:2])

    def turned(self, turns: int) -> MatchedView:
        """Return the image turned by quarter turns."""
        height, width = self.original_shape
        return MatchedView(turn_image(self.gray, turns), (width, height) if turns % 2 else (height, width))

    def camera(self, K: np.ndarray) -> Camera:
        """Return the camera of the matched image; K: (3, 3) of the stored one."""
        height, width = self.gray.shape
        return Camera.from_matrix(self.resizing @ K, width, height)


@dataclass(frozen=True)
class PairEstimate:
    """Result of an estimator on the matches of a pair; the errors are those of `PairErrors`."""

    inliers: int
    geometry: str
    error_degrees: float | None = None
    corner_px: float | None = None
    nees: float | None = None
    dof: int = 0
    estimate_px: float | None = None
    truth_px: float | None = None


@dataclass(frozen=True)
class PairRun:
    """One combination of `PairEvaluationOptions` with its results.

    max_side: pixels. views: how images are turned.
    problems: one line for each pair that was left out, since it or its images cannot be used. oddities: one for each
    image whose K is hardly that of its camera.
    """

    matcher: str
    weights_sha256: str
    estimator: PoseEstimator
    max_side: int
    views: TurnedViews
    summary: PairSummary
    details: tuple[PairErrors, ...]
    problems: tuple[str, ...] = ()
    oddities: tuple[str, ...] = ()


def evaluate_pairs_file(path: Path, options: PairEvaluationOptions) -> list[PairRun]:
    """Evaluate the pairs of a pairs.json with every combination of the options.

    Pairs that cannot be used are left out and listed in `problems` of each run. Raises InputError when none is left.
    """
    found = read_pairs(path)
    pairs, problems = _readable(found.pairs)
    problems = [*found.problems, *problems]
    if not pairs:
        raise InputError(f"{path}: none of its {len(problems)} pairs can be used; {problems[0]}")
    oddities = _oddities(pairs)
    return [
        replace(run, problems=tuple(problems), oddities=oddities)
        for predictor in load_predictors(options.matchers)
        for max_side in options.max_sides
        for views in options.views
        for run in evaluate_pairs(pairs, predictor, options.estimators, max_side, views, options.truth)
    ]


def _readable(pairs: Sequence[ImagePair]) -> tuple[list[ImagePair], list[str]]:
    """Return the pairs both of whose images can be read, and one line for each of the others."""
    faults: dict[Path, str] = {}
    for path in dict.fromkeys(path for pair in pairs for path in (pair.path_a, pair.path_b)):
        try:
            read_gray(path)
        except InputError as error:
            faults[path] = str(error)
    usable, problems = [], []
    for pair in pairs:
        fault = faults.get(pair.path_a) or faults.get(pair.path_b)
        if fault:
            problems.append(f"{pair.name_a} and {pair.name_b}: {fault}")
        else:
            usable.append(pair)
    return usable, problems


def _oddities(pairs: Sequence[ImagePair]) -> tuple[str, ...]:
    """Return one line for each image whose K is odd: the true poses are compared with estimates that use it."""
    images = [image for each in pairs for image in ((each.path_a, each.K_a), (each.path_b, each.K_b))]
    cameras = {path: Camera.from_matrix(K, *read_size(path)) for path, K in images if K is not None}
    return tuple(f"{path.name}: {text}" for path, camera in cameras.items() for text in camera_oddities(camera)[:1])


def evaluate_pairs(
    pairs: Sequence[ImagePair],
    predictor: Predictor,
    estimators: Sequence[PoseEstimator],
    max_side: int,
    views: TurnedViews = UPRIGHT,
    truth: TruthDeviation | None = None,
) -> list[PairRun]:
    """Match each pair once, on images shrunk to a long side of `max_side` pixels (0: not shrunk).

    Returns a run for each estimator. A pair on which the matcher or an estimator fails counts as a failure with the
    cause in `failure`, and the others are evaluated.
    """
    matcher = predictor.matcher
    read_view = lru_cache(maxsize=CACHED_IMAGES)(_read_view)
    results: dict[PoseEstimator, list[PairErrors]] = {estimator: [] for estimator in estimators}
    for upright in tqdm(pairs, unit="pair", desc=f"{matcher.name}, {max_side} px", disable=None):
        a, b = read_view(upright.path_a, max_side), read_view(upright.path_b, max_side)
        pair, failure = upright, ""
        try:
            pair = turn_pair(upright, views.turns_b, b.original_shape[::-1])
            b = b.turned(views.turns_b)
            matches = match_pair(predictor, a.gray, b.gray, views.rotation, true_turns(pair))
        except (InputError, cv2.error) as error:
            matches, failure = NO_PAIRS, " ".join(str(error).split())
        for estimator in estimators:
            begin = time.perf_counter()
            estimate, cause = _failure_of(pair), failure
            if not failure:
                try:
                    estimate = estimate_and_compare(pair, a, b, matches.points_a, matches.points_b, estimator, truth)
                except (InputError, cv2.error) as error:
                    cause = " ".join(str(error).split())
            seconds = time.perf_counter() - begin
            errors = PairErrors(
                a=pair.name_a,
                b=pair.name_b,
                matches=len(matches),
                **asdict(estimate),
                seconds_matching=matches.seconds,
                seconds_estimating=seconds,
                failure=cause,
            )
            results[estimator].append(errors)
    return [
        PairRun(
            matcher.name,
            matcher.weights_sha256,
            estimator,
            max_side,
            views,
            summary=summarise_pairs(errors),
            details=tuple(errors),
        )
        for estimator, errors in results.items()
    ]


def _failure_of(pair: ImagePair) -> PairEstimate:
    return PairEstimate(0, Geometry.FAILED.name, error_degrees=None if pair.T_ab is None else FAILED_DEGREES)


def _read_view(path: Path, max_side: int) -> MatchedView:
    original = read_gray(path)
    return MatchedView(shrink(original, max_side), original.shape[:2])


def estimate_and_compare(
    pair: ImagePair,
    a: MatchedView,
    b: MatchedView,
    points_a: np.ndarray,
    points_b: np.ndarray,
    estimator: PoseEstimator,
    truth: TruthDeviation | None = None,
) -> PairEstimate:
    """Estimate the pose or the homography of a pair, whichever its truth is, and compare it with the truth.

    points_a, points_b: (N, 2), matched pixels of the views. truth: see `PairEvaluationOptions`.
    """
    if pair.K_a is None or pair.K_b is None or pair.T_ab is None:
        return _estimate_homography(pair, a, b, points_a, points_b)
    cameras = a.camera(pair.K_a), b.camera(pair.K_b)
    found = estimate_pose(points_a, points_b, *cameras, estimator)
    nees, dof = normalised_error(found, pair.T_ab, truth or TruthDeviation(pair.truth_degrees))
    degrees = pose_degrees(found.T_ab, pair.T_ab)
    estimate_px, truth_px = epipolar_distances(
        points_a, points_b, *cameras, estimated=found.T_ab, true=pair.T_ab, threshold=estimator.threshold
    )
    return PairEstimate(
        found.inliers,
        found.geometry.name,
        error_degrees=degrees,
        nees=nees,
        dof=dof,
        estimate_px=estimate_px,
        truth_px=truth_px,
    )


def _estimate_homography(
    pair: ImagePair, a: MatchedView, b: MatchedView, points_a: np.ndarray, points_b: np.ndarray
) -> PairEstimate:
    failed = PairEstimate(0, Geometry.FAILED.name)
    if pair.H_ab is None or len(points_a) < 4:
        return failed
    H, mask = cv2.findHomography(
        points_a, points_b, cv2.USAC_MAGSAC, HOMOGRAPHY_PIXELS, maxIters=10_000, confidence=0.9999
    )
    if H is None:
        return failed
    height, width = a.original_shape
    estimated = np.linalg.inv(b.resizing) @ H @ a.resizing
    corner_px = corner_error(estimated, pair.H_ab, width, height)
    return PairEstimate(int(mask.sum()), Geometry.PLANAR.name, corner_px=corner_px)


def pair_run_to_mapping(run: PairRun) -> dict[str, Any]:
    """Return the JSON content of a run: the summary, the conditions, then every pair."""
    conditions: dict[str, Any] = {
        "matcher": run.matcher,
        "weights_sha256": run.weights_sha256,
        "estimator": run.estimator.name,
        "threshold": run.estimator.threshold,
        "estimator_details": run.estimator.description,
        "homography_details": HOMOGRAPHIES,
        "max_side": run.max_side,
        "rotation": run.views.rotation,
        "turned_b": 90 * run.views.turns_b,
    }
    conditions["left_out"] = list(run.problems)
    conditions["odd_calibrations"] = list(run.oddities)
    consistency = consistency_of_pairs(run.details)
    conditions["consistency"] = None if consistency is None else asdict(consistency)
    agreement = agreement_of_pairs(run.details, run.estimator.threshold)
    conditions["truth_agreement"] = None if agreement is None else asdict(agreement)
    return asdict(run.summary) | conditions | {"details": [asdict(errors) for errors in run.details]}
