"""Average precision as defined by COCO: matching detections with ground truth, and precision over recall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolc_ros.boxes import box_areas, pairwise_intersection

HIT, MISS, NEITHER = 1, 0, -1  # true positive, false positive, not counted
ANY_AREA = (0.0, np.inf)  # square pixels

_RECALLS = np.linspace(0, 1, 101)  # of COCO


@dataclass(frozen=True)
class ClassResult:
    """Detections and ground truth of one class in one image; boxes are xyxy, pixels."""

    boxes: np.ndarray  # (N, 4)
    scores: np.ndarray  # (N,)
    true_boxes: np.ndarray  # (M, 4)
    ignored: np.ndarray  # (K, 4): regions whose detections are not counted


@dataclass(frozen=True)
class MatchedDetections:
    """Detections of one class in one image, matched with the ground truth.

    scores: (N,), best first. outcomes: (T, N) int8, HIT, MISS or NEITHER at each of T minimum IoUs. objects: number of
    true boxes that are counted.
    """

    scores: np.ndarray
    outcomes: np.ndarray
    objects: int


def average_precision(images: Sequence[ClassResult], min_iou: float = 0.5) -> float:
    """AP of one class over 101 recalls; NaN if no image has an object of it. See `assign_hits`."""
    return float(precision_over_recall([assign_hits(image, np.array([min_iou])) for image in images])[0])


def assign_hits(image: ClassResult, min_ious: np.ndarray, areas: tuple[float, float] = ANY_AREA) -> MatchedDetections:
    """Match the detections of an image with its objects as pycocotools does, with `ignored` as crowds.

    In the order of scores, each detection is matched with the unmatched object of the largest IoU, if that is at least
    min_iou. An unmatched detection is not counted if at least min_iou of its own area is ignored. min_ious: (T,).
    Objects with an area (square pixels) outside `areas` are not counted, matched or not, and neither are unmatched
    detections with an area outside it.
    """
    order = np.argsort(-image.scores, kind="stable")
    boxes = np.asarray(image.boxes, np.float64)[order]
    truth = np.asarray(image.true_boxes, np.float64)
    found_areas, true_areas = box_areas(boxes)[:, None], box_areas(truth)
    shared = pairwise_intersection(boxes, truth)
    iou = shared / np.maximum(found_areas + true_areas - shared, 1e-12)
    covered = pairwise_intersection(boxes, image.ignored) / np.maximum(found_areas, 1e-12)
    overlaps = np.hstack([iou, covered])
    is_object = np.zeros(overlaps.shape[1], dtype=bool)
    is_object[: len(truth)] = (true_areas >= areas[0]) & (true_areas <= areas[1])
    groups = [(columns, outcome) for columns, outcome in ((is_object, HIT), (~is_object, NEITHER)) if columns.any()]

    is_elsewhere = (found_areas[:, 0] < areas[0]) | (found_areas[:, 0] > areas[1])
    outcomes = np.tile(np.where(is_elsewhere, NEITHER, MISS).astype(np.int8), (len(min_ious), 1))
    is_free = np.ones((len(min_ious), overlaps.shape[1]), dtype=bool)
    for index in np.flatnonzero(overlaps.max(axis=1, initial=0.0) >= min_ious.min()):
        is_open = np.ones(len(min_ious), dtype=bool)
        for columns, outcome in groups:
            candidates = np.where(is_free & columns, overlaps[index], -1.0)
            best = (
                candidates.shape[1] - 1 - candidates[:, ::-1].argmax(axis=1)
            )  # the last one of equal IoUs, as in pycocotools
            takes = np.flatnonzero(is_open & (candidates.max(axis=1) >= min_ious))
            outcomes[takes, index] = outcome
            is_free[takes, best[takes]] = best[takes] >= len(truth)  # an ignored region can be matched again
            is_open[takes] = False
    return MatchedDetections(image.scores[order], outcomes, int(is_object.sum()))


def precision_over_recall(images: Sequence[MatchedDetections], *, at_all_points: bool = False) -> np.ndarray:
    """Mean precision over recall (AP) at each minimum IoU, (T,); NaN if no image has an object.

    The precision at a recall is the maximum at this and higher recalls. The mean is over 101 recalls, as in COCO, or
    with `at_all_points` the area under the curve, as in VOC.
    """
    objects = sum(image.objects for image in images)
    if not objects:
        return np.full(len(images[0].outcomes) if images else 1, np.nan)
    order = np.argsort(-np.concatenate([image.scores for image in images]), kind="stable")
    outcomes = np.concatenate([image.outcomes for image in images], axis=1)[:, order]
    return np.array([_mean_precision(row[row != NEITHER] == HIT, objects, at_all_points) for row in outcomes])


def _mean_precision(is_hit: np.ndarray, objects: int, at_all_points: bool) -> float:
    """AP of detections, is_hit (N,) bool, best score first."""
    hits = np.cumsum(is_hit)
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    if at_all_points:
        return float(envelope[is_hit].sum() / objects)
    index = np.searchsorted(hits / objects, _RECALLS, side="left")
    return float(np.append(envelope, 0.0)[np.minimum(index, len(envelope))].mean())
