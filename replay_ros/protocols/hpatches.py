"""HPatches: homographies of planes under changes of viewpoint and illumination (Balntas et al., CVPR 2017).

FOLDER/{v,i}_NAME/1.ppm ... 6.ppm and H_1_2 ... H_1_6 (3x3 text, pixels of image 1 to those of image k), as in the
archive hpatches-sequences-release. LoFTR's protocol (section 4.1): image 1 is paired with the other five, both are
resized to a short side of 480 pixels, RANSAC estimates a homography from the 1024 most confident matches, and the error
is the mean distance of the four corners of image 1 under both homographies, in pixels of the resized image k. Eight
sequences with images that are too large for some methods are left out, as usual since D2-Net; 108 remain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from loftr_ros.datasets.image_pairs import homography_fault, resizing
from loftr_ros.geometry.accuracy import area_under_recall
from loftr_ros.image_matcher import MatcherSettings
from perception_common.errors import InputError
from perception_common.images.pictures.files import read_gray
from perception_common.text.text_files import read_text, table_rows
from replay_ros.evaluation.pairs.metrics import corner_error
from replay_ros.evaluation.pairs.predictions import MatcherOptions, Predictor, load_predictors
from replay_ros.protocols.result import PairOutcome, ProtocolResult, left_out_note

PAIRS = 540
SHORT_SIDE = 480
MAX_MATCHES = 1024
CONFIDENCE = 0.1  # smallest one of LoFTR's matches (empirical)
THRESHOLD = 3.0  # of RANSAC, pixels of the resized images (OpenCV's default)
LIMITS = (3, 5, 10)  # of the AUC, pixels
LEFT_OUT = frozenset(
    {
        *("i_contruction", "i_crownnight", "i_dc", "i_pencils", "i_whitebuilding"),
        *("v_artisans", "v_astronautis", "v_talent"),
    }
)
_HOMOGRAPHY_BYTES = 2**16  # of a file of nine numbers
GROUPS = {"all": "", "illumination": "i_", "viewpoint": "v_"}


@dataclass(frozen=True, eq=False)
class PlanePair:
    """Two images of a sequence. H: (3, 3), pixels of the stored image 1 to pixels of the stored other image."""

    sequence: str
    first: Path
    other: Path
    H: np.ndarray


def read_pairs(folder: Path) -> list[PlanePair]:
    """Read the pairs of all sequences except `LEFT_OUT`. Raises InputError for folders and files of other formats."""
    sequences = [path for path in sorted(folder.glob("[vi]_*")) if path.is_dir() and path.name not in LEFT_OUT]
    if not sequences:
        raise InputError(f"{folder} holds no sequences v_* or i_*; give the folder hpatches-sequences-release")
    return [
        PlanePair(path.name, path / "1.ppm", path / f"{k}.ppm", _read_homography(path / f"H_1_{k}"))
        for path in sequences
        for k in range(2, 7)
    ]


def evaluate_hpatches(
    pairs: Sequence[PlanePair], matchers: MatcherOptions, thresholds: Sequence[float] = (THRESHOLD,)
) -> list[ProtocolResult]:
    """Evaluate every matcher with every threshold of RANSAC (pixels)."""
    settings = MatcherSettings(max_side=0, threshold=CONFIDENCE)
    return [
        result
        for predictor in load_predictors(matchers, settings)
        for result in _evaluate_homographies(pairs, predictor, thresholds)
    ]


def _evaluate_homographies(
    pairs: Sequence[PlanePair], predictor: Predictor, thresholds: Sequence[float]
) -> list[ProtocolResult]:
    """Match each pair once; return a result for each threshold and group of sequences."""
    found: dict[float, list[PairOutcome]] = {threshold: [] for threshold in thresholds}
    left_out: list[str] = []
    for pair in tqdm(pairs, unit="pair", desc=f"{predictor.matcher.name}, HPatches", disable=None):
        name = f"{pair.sequence}/1-{pair.other.stem}"
        try:
            (first, R_first), (other, R_other) = (_resized(path) for path in (pair.first, pair.other))
            matches = predictor.match(first, other).best(MAX_MATCHES)
        except InputError as fault:
            left_out.append(f"{name}: {fault}")
            continue
        H_true = R_other @ pair.H @ np.linalg.inv(R_first)
        for threshold in thresholds:
            H, inliers = _estimate_homography(matches.points_a, matches.points_b, threshold)
            error = None if H is None else corner_error(H, H_true, first.shape[1], first.shape[0])
            found[threshold].append(PairOutcome(name, len(matches), inliers, error))
    note = left_out_note(left_out, len(pairs))
    return [
        _result(group, outcomes, threshold, predictor, note)
        for threshold, every in found.items()
        for group, prefix in GROUPS.items()
        if (outcomes := [outcome for outcome in every if outcome.name.startswith(prefix)])
    ]


def _result(
    group: str, pairs: Sequence[PairOutcome], threshold: float, predictor: Predictor, note: tuple[str, ...]
) -> ProtocolResult:
    errors = [np.inf if pair.error is None else pair.error for pair in pairs]
    return ProtocolResult(
        setting=f"short side {SHORT_SIDE}, {group}",
        matcher=predictor.matcher.name,
        weights_sha256=predictor.matcher.weights_sha256,
        estimator=f"findHomography RANSAC, {threshold:g} px",
        threshold=threshold,
        values={f"AUC@{limit}px": 100 * area_under_recall(errors, limit) for limit in LIMITS},
        pairs=tuple(pairs),
        notes=note,
    )


def _estimate_homography(
    points_first: np.ndarray, points_other: np.ndarray, threshold: float
) -> tuple[np.ndarray | None, int]:
    """Return the homography, None for a failure, and the number of inliers."""
    if len(points_first) < 4:
        return None, 0
    H, mask = cv2.findHomography(points_first, points_other, cv2.RANSAC, threshold)
    return H, 0 if H is None else int(mask.sum())


def _resized(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the image with a short side of 480 pixels, and the (3, 3) from stored to resized pixels."""
    image = read_gray(path)
    height, width = image.shape
    factor = SHORT_SIDE / min(height, width)
    size = (round(width * factor), round(height * factor))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, size, interpolation=method)
    return small, resizing((height, width), small.shape)


def _read_homography(path: Path) -> np.ndarray:
    rows = [cells for _, cells in table_rows(read_text(path, "homography", limit=_HOMOGRAPHY_BYTES))]
    try:
        H = np.array(rows, np.float64)
    except ValueError as error:
        raise InputError(f"{path} is no matrix of numbers; the sequence needs H_1_2 to H_1_6") from error
    if H.shape != (3, 3) or not np.isfinite(H).all() or homography_fault(H):
        raise InputError(f"{path} must hold 3x3 finite numbers of an invertible matrix")
    return H
