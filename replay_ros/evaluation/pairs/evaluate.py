"""The command `evaluate_pairs`: how good relative poses and homographies of real image pairs are."""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from loftr_ros.datasets.image_pairs import ImagePair, read_gray, read_pairs, resizing
from loftr_ros.geometry.accuracy import FAILED_DEGREES, pose_degrees
from loftr_ros.geometry.two_view.estimation import Geometry
from loftr_ros.matcher import shrink
from perception_common.backends.devices import choose_device
from perception_common.cameras.camera import Camera
from perception_common.cli import run
from perception_common.errors import InputError
from perception_common.text.markdown import markdown_table, number_cell
from replay_ros.evaluation.common import write_results
from replay_ros.evaluation.pairs.estimators import ESTIMATORS, THRESHOLDS, describe, estimate_pose
from replay_ros.evaluation.pairs.matchers import load_matcher
from replay_ros.evaluation.pairs.metrics import PairErrors, PairSummary, corner_error, summarise
from replay_ros.evaluation.pairs.predictions import Predictor

IMAGES = 32  # that are kept at a time
HOMOGRAPHY_PIXELS = 3.0
DEFAULT_MATCHERS = ("loftr_lite",)
DEFAULT_ESTIMATORS = ("opencv",)
DEFAULT_SIDES = (640,)

HOMOGRAPHIES = f"findHomography USAC_MAGSAC, {HOMOGRAPHY_PIXELS:g} px"

_DESCRIPTION = f"""\
Match the image pairs of a pairs.json and compare the relative poses (T_ab, K_a, K_b) and homographies (H_ab) with the
truth. Repeated options are evaluated in all combinations. Thresholds are in pixels of the matched images.

estimators of the pose:
{"".join(f"  {name:14}{describe(name, THRESHOLDS[name])}" + chr(10) for name in ESTIMATORS)}\
homographies: {HOMOGRAPHIES}, whatever the estimator
"""

_EXAMPLE = """\
example:
  evaluate_pairs flight/pairs.json
  evaluate_pairs flight/pairs.json --matcher loftr_lite --matcher sift --matcher orb \\
    --estimator opencv --estimator poselib --max-side 640 --max-side 1600 --json result.json
  evaluate_pairs flight/pairs.json --estimator poselib --threshold 0.5 --threshold 1 --threshold 2 --cache matches
"""


@dataclass(frozen=True, eq=False)
class MatchedView:
    """An image as it is matched. gray: (H, W) uint8. original_shape: (H, W) of the stored image."""

    gray: np.ndarray
    original_shape: tuple[int, int]

    @property
    def resizing(self) -> np.ndarray:
        """(3, 3), pixels of the stored image to those of the matched one."""
        return resizing(self.original_shape, self.gray.shape[:2])

    def camera(self, K: np.ndarray) -> Camera:
        """Return the camera of the matched image; K: (3, 3) of the stored one."""
        height, width = self.gray.shape
        return Camera.from_matrix(self.resizing @ K, width, height)


@dataclass(frozen=True)
class Estimate:
    """What an estimator made of the matches of a pair: inliers, geometry, and the two errors of PairErrors."""

    inliers: int
    geometry: str
    error_degrees: float | None = None
    corner_px: float | None = None


@dataclass(frozen=True)
class Run:
    """One combination and what came out. threshold: of the estimator, pixels of the matched images."""

    matcher: str
    weights_sha256: str
    estimator: str
    threshold: float
    max_side: int
    summary: PairSummary
    details: tuple[PairErrors, ...]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Raises InputError for files and names that cannot be used."""
    options = _parse(argv)
    pairs = read_pairs(options.pairs)
    for path in dict.fromkeys(path for pair in pairs for path in (pair.path_a, pair.path_b)):
        if not path.is_file():
            raise InputError(f"{path}: is missing; the files that {options.pairs} names lie relative to its folder")
    policy = choose_device(options.device)
    names = options.matcher or DEFAULT_MATCHERS
    predictors = [Predictor(load_matcher(name, options.model, policy), options.cache) for name in names]
    estimators = [
        (name, threshold)
        for name in options.estimator or DEFAULT_ESTIMATORS
        for threshold in options.threshold or [THRESHOLDS[name]]
    ]
    runs = [
        each
        for predictor, max_side in itertools.product(predictors, options.max_side or DEFAULT_SIDES)
        for each in evaluate(pairs, predictor, estimators, max_side)
    ]
    print("\n".join(render(runs)))
    if options.json:
        write_results(options.json, options.pairs, [as_mapping(each) for each in runs])
    return 0


def evaluate(
    pairs: Sequence[ImagePair], predictor: Predictor, estimators: Sequence[tuple[str, float]], max_side: int
) -> list[Run]:
    """Match each pair once, on images shrunk to a long side of `max_side` pixels (0: as they are).

    estimators: names with thresholds in pixels of these images. Returns a run for each of them.
    """

    @lru_cache(maxsize=IMAGES)
    def view(path: Path) -> MatchedView:
        original = read_gray(path)
        return MatchedView(shrink(original, max_side), original.shape[:2])

    matcher = predictor.matcher
    results: dict[tuple[str, float], list[PairErrors]] = {each: [] for each in estimators}
    for pair in tqdm(pairs, unit="pair", desc=f"{matcher.name}, {max_side} px", disable=None):
        a, b = view(pair.path_a), view(pair.path_b)
        found = predictor.match(a.gray, b.gray)
        for name, threshold in estimators:
            begin = time.perf_counter()
            estimate = estimate_pair(pair, a, b, found.points_a, found.points_b, name, threshold)
            results[name, threshold].append(
                PairErrors(
                    pair.name_a,
                    pair.name_b,
                    len(found),
                    estimate.inliers,
                    estimate.geometry,
                    estimate.error_degrees,
                    estimate.corner_px,
                    found.seconds,
                    time.perf_counter() - begin,
                )
            )
    return [
        Run(matcher.name, matcher.weights_sha256, name, threshold, max_side, summarise(found), tuple(found))
        for (name, threshold), found in results.items()
    ]


def estimate_pair(
    pair: ImagePair,
    a: MatchedView,
    b: MatchedView,
    points_a: np.ndarray,
    points_b: np.ndarray,
    estimator: str,
    threshold: float,
) -> Estimate:
    """Estimate what is known of a pair from matched pixels (N, 2) of the views, and compare."""
    if pair.K_a is None or pair.K_b is None or pair.T_ab is None:
        return _estimate_homography(pair, a, b, points_a, points_b)
    found = estimate_pose(points_a, points_b, a.camera(pair.K_a), b.camera(pair.K_b), estimator, threshold)
    return Estimate(found.inliers, found.geometry.name, error_degrees=pose_degrees(found.T_ab, pair.T_ab))


def _estimate_homography(
    pair: ImagePair, a: MatchedView, b: MatchedView, points_a: np.ndarray, points_b: np.ndarray
) -> Estimate:
    failed = Estimate(0, Geometry.FAILED.name)
    if pair.H_ab is None or len(points_a) < 4:
        return failed
    H, mask = cv2.findHomography(
        points_a, points_b, cv2.USAC_MAGSAC, HOMOGRAPHY_PIXELS, maxIters=10_000, confidence=0.9999
    )
    if H is None:
        return failed
    height, width = a.original_shape
    estimated = np.linalg.inv(b.resizing) @ H @ a.resizing
    return Estimate(int(mask.sum()), Geometry.PLANAR.name, corner_px=corner_error(estimated, pair.H_ab, width, height))


def render(runs: Sequence[Run]) -> Iterator[str]:
    """Lay runs out as a table that is readable as it is, and say how the estimators work."""
    head = ("matcher", "estimator", "px", "long side", "pairs", "< 5 deg", "AUC@5", "@10", "@20", "corners", "failed")
    rows: list[tuple[str, ...]] = [(*head, "matches", "inliers", "s/pair")]
    for each in runs:
        found = each.summary
        rows.append(
            (
                each.matcher,
                each.estimator,
                f"{each.threshold:g}",
                str(each.max_side or "full"),
                str(found.pairs),
                number_cell(found.success_5deg, 0),
                *(number_cell(area, 3) for area in found.auc.values()),
                "-" if found.corner_px is None else f"{found.corner_px:.2f} px",
                str(found.failures),
                f"{found.matches:.0f}",
                f"{found.inliers:.0f}",
                f"{found.seconds_per_pair:.2f}",
            )
        )
    yield from markdown_table(rows)
    yield ""
    if any(each.summary.success_5deg is not None for each in runs):
        for name, threshold in dict.fromkeys((each.estimator, each.threshold) for each in runs):
            yield f"- {name}: {describe(name, threshold)}; a failure counts as {FAILED_DEGREES:g} degrees"
    if any(result.error_degrees is None for each in runs for result in each.details):
        yield f"- homographies: {HOMOGRAPHIES}; corners are pixels of the stored image"
    yield "- s/pair: matching and estimation, without encoding the two images"


def as_mapping(each: Run) -> dict[str, Any]:
    """Return what the JSON holds of a run: the figures first, then the conditions, then every pair."""
    conditions = {
        "matcher": each.matcher,
        "weights_sha256": each.weights_sha256,
        "estimator": each.estimator,
        "threshold": each.threshold,
        "estimator_details": describe(each.estimator, each.threshold),
        "homography_details": HOMOGRAPHIES,
        "max_side": each.max_side,
    }
    return asdict(each.summary) | conditions | {"details": [asdict(result) for result in each.details]}


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="evaluate_pairs",
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pairs", type=Path, metavar="PAIRS.json", help="a, b and K_a, K_b, T_ab or H_ab of each pair")
    parser.add_argument(
        "--matcher",
        action="append",
        metavar="NAME",
        help=f"loftr_lite, sift, orb or a weights FILE ({', '.join(DEFAULT_MATCHERS)}); may be repeated",
    )
    parser.add_argument(
        "--model", metavar="NAME", help="network of a weights FILE (what the file says, else loftr_lite)"
    )
    parser.add_argument(
        "--estimator",
        action="append",
        choices=ESTIMATORS,
        help=f"of the pose ({', '.join(DEFAULT_ESTIMATORS)}); may be repeated",
    )
    parser.add_argument(
        "--threshold",
        action="append",
        type=float,
        metavar="PX",
        help="of the estimator of the pose, pixels of the matched images (see above); may be repeated",
    )
    parser.add_argument(
        "--max-side",
        action="append",
        type=int,
        metavar="N",
        help=f"shrink images to this long side, pixels, 0: not at all ({DEFAULT_SIDES[0]}); may be repeated",
    )
    parser.add_argument(
        "--cache", type=Path, metavar="FOLDER", help="keep matches there, and take those that are there"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures and every pair there too")
    options = parser.parse_args(argv)
    if any(side < 0 for side in options.max_side or ()):
        raise InputError("--max-side must not be negative; 0 keeps the images' size")
    if not all(threshold > 0 for threshold in options.threshold or ()):
        raise InputError("--threshold must be above 0 pixels")
    return options


if __name__ == "__main__":
    run(main)
