"""HOTA, IDF1, MOTA and id switches of one sequence, computed by trackeval.

HOTA: Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 2021. IDF1: Ristani et al.,
ECCV 2016 workshops. MOTA and id switches: Bernardin and Stiefelhagen, 2008; both at an IoU of 0.5.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perception_common.errors import InputError

ADVICE = "pip install trackeval"


@dataclass(frozen=True, eq=False)
class TrackedBoxes:
    """Boxes of one image with ids. boxes: (N, 4) x0, y0, x1, y1, pixels. ids, labels: (N,) int64; ids occur once."""

    boxes: np.ndarray
    ids: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class TrackingScores:
    """Scores of a sequence, 0 to 1 but for MOTA, which may be negative.

    id_switches: how often an object gets another id. objects, boxes: of the truth. tracks: ids given.
    """

    hota: float
    idf1: float
    mota: float
    id_switches: int
    objects: int
    boxes: int
    tracks: int


def score_tracking(truths: Sequence[TrackedBoxes], found: Sequence[TrackedBoxes]) -> TrackingScores:
    """Score the ids of a sequence, image by image; objects of different classes never match.

    Raises InputError when trackeval is missing.
    """
    metrics = _metrics()
    data = _sequence(truths, found)
    with contextlib.redirect_stdout(io.StringIO()):  # trackeval prints its settings
        hota, clear, identity = (metrics[name]().eval_sequence(data) for name in ("HOTA", "CLEAR", "Identity"))
    return TrackingScores(
        hota=float(np.mean(hota["HOTA"])),
        idf1=float(identity["IDF1"]),
        mota=float(clear["MOTA"]),
        id_switches=int(clear["IDSW"]),
        objects=int(data["num_gt_ids"]),
        boxes=int(data["num_gt_dets"]),
        tracks=int(data["num_tracker_ids"]),
    )


def _metrics() -> dict[str, Any]:
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it names the datasets whose readers lack a package
            from trackeval import metrics
    except ModuleNotFoundError as error:
        raise InputError(f"scores of tracks need {error.name}, which is not installed: {ADVICE}") from error
    return vars(metrics)


def _sequence(truths: Sequence[TrackedBoxes], found: Sequence[TrackedBoxes]) -> dict[str, Any]:
    """Return a sequence as trackeval takes it: ids from 0 without gaps."""
    names = [np.unique(np.concatenate([np.zeros(0, np.int64), *(each.ids for each in side)])) for side in (truths, found)]
    return {
        "num_timesteps": len(truths),
        "num_gt_ids": len(names[0]),
        "num_tracker_ids": len(names[1]),
        "num_gt_dets": sum(len(each.ids) for each in truths),
        "num_tracker_dets": sum(len(each.ids) for each in found),
        "gt_ids": [np.searchsorted(names[0], each.ids) for each in truths],
        "tracker_ids": [np.searchsorted(names[1], each.ids) for each in found],
        "similarity_scores": [_similarity(truth, each) for truth, each in zip(truths, found, strict=True)],
    }


def _similarity(truth: TrackedBoxes, found: TrackedBoxes) -> np.ndarray:
    """IoU (N, M) of boxes of the same class, else 0."""
    a, b = truth.boxes.reshape(-1, 4)[:, None], found.boxes.reshape(-1, 4)[None]
    sides = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0.0)
    common = sides.prod(axis=2)
    areas = (a[..., 2:] - a[..., :2]).prod(axis=2) + (b[..., 2:] - b[..., :2]).prod(axis=2)
    iou = common / np.maximum(areas - common, 1e-12)
    return iou * (truth.labels[:, None] == found.labels[None])
