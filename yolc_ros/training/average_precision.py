"""Average precision as COCO defines it: which detections are hits, and what that makes of precision over recall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolc_ros.boxes import box_areas, pairwise_intersection

HIT, MISS, NEITHER = 1, 0, -1
ANY_AREA = (0.0, np.inf)

_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class ClassResult:
    """Detections and truth of one class in one image; boxes are xyxy."""

    boxes: np.ndarray  # (N, 4)
    scores: np.ndarray  # (N,)
    true_boxes: np.ndarray  # (M, 4)
    ignored: np.ndarray  # (K, 4): detections mostly in there count for nothing


@dataclass(frozen=True)
class Judgement:
    """What became of the detections of one class in one image.

    scores: (N,), best first. outcomes: (T, N) int8, HIT, MISS or NEITHER at each of T smallest IoUs. objects: number of
    true boxes that count.
    """

    scores: np.ndarray
    outcomes: np.ndarray
    objects: int


def average_precision(images: Sequence[ClassResult], min_iou: float = 0.5) -> float:
    """AP over 101 recalls of one class; NaN where there is no object in any image. See `assign_hits`."""
    return float(precision_over_recall([assign_hits(image, np.array([min_iou])) for image in images])[0])


def assign_hits(image: ClassResult, min_ious: np.ndarray, areas: tuple[float, float] = ANY_AREA) -> Judgement:
    """Decide on the detections of an image as pycocotools does, with `ignored` as crowds.

    In the order of the scores, a detection takes the free object with the largest IoU of at least min_iou; failing
    that it counts for nothing if min_iou of its own area is ignored. min_ious: (T,). Objects whose area (pixels) lies
    outside of `areas` count for nothing, found or not, and so do detections outside of it that take no object.
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
            best = candidates.shape[1] - 1 - candidates[:, ::-1].argmax(axis=1)  # the last of equals, as pycocotools
            takes = np.flatnonzero(is_open & (candidates.max(axis=1) >= min_ious))
            outcomes[takes, index] = outcome
            is_free[takes, best[takes]] = best[takes] >= len(truth)  # what is ignored can be taken again
            is_open[takes] = False
    return Judgement(image.scores[order], outcomes, int(is_object.sum()))


def precision_over_recall(images: Sequence[Judgement], *, at_all_points: bool = False) -> np.ndarray:
    """Mean precision over recall at each smallest IoU, (T,); NaN where there is no object in any image.

    Precision is the best one at this recall or beyond. Over 101 recalls as COCO, or `at_all_points` the area as VOC.
    """
    objects = sum(image.objects for image in images)
    if not objects:
        return np.full(len(images[0].outcomes) if images else 1, np.nan)
    order = np.argsort(-np.concatenate([image.scores for image in images]), kind="stable")
    outcomes = np.concatenate([image.outcomes for image in images], axis=1)[:, order]
    return np.array([_mean_precision(row[row != NEITHER] == HIT, objects, at_all_points) for row in outcomes])


def _mean_precision(is_hit: np.ndarray, objects: int, at_all_points: bool) -> float:
    """is_hit: (N,) bool, best first."""
    hits = np.cumsum(is_hit)
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    if at_all_points:
        return float(envelope[is_hit].sum() / objects)
    index = np.searchsorted(hits / objects, _RECALLS, side="left")
    return float(np.append(envelope, 0.0)[np.minimum(index, len(envelope))].mean())
