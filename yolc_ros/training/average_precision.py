"""Average precision as COCO defines it, for validation while training. Published figures come from replay_ros."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolc_ros.decoding import box_areas, pairwise_intersection

_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class ClassResult:
    """Detections and truth of one class in one image; boxes are xyxy."""

    boxes: np.ndarray  # (N, 4)
    scores: np.ndarray  # (N,)
    true_boxes: np.ndarray  # (M, 4)
    ignored: np.ndarray  # (K, 4): detections mostly in there count for nothing


def average_precision(images: Sequence[ClassResult], min_iou: float = 0.5) -> float:
    """AP over 101 recalls of one class; NaN where there is no object in any image.

    As pycocotools with `ignored` as crowds: in the order of the scores, a detection takes the free object with the
    largest IoU of at least min_iou; failing that it counts for nothing if min_iou of its own area is ignored.
    """
    objects = sum(len(image.true_boxes) for image in images)
    if not objects:
        return float("nan")
    parts = [_judge(image, min_iou) for image in images]
    scores = np.concatenate([part[0] for part in parts])
    is_hit = np.concatenate([part[1] for part in parts])[np.argsort(-scores, kind="stable")]
    hits = np.cumsum(is_hit)
    recall = hits / objects
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    index = np.searchsorted(recall, _RECALLS, side="left")
    return float(
        np.where(index < len(envelope), np.append(envelope, 0.0)[np.minimum(index, len(envelope))], 0.0).mean()
    )


def _judge(image: ClassResult, min_iou: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores and hits (N',) of the detections that count, best first."""
    order = np.argsort(-image.scores, kind="stable")
    boxes, scores = image.boxes[order], image.scores[order]
    areas = box_areas(boxes)
    shared = pairwise_intersection(boxes, image.true_boxes)
    iou = shared / np.maximum(areas[:, None] + box_areas(image.true_boxes)[None] - shared, 1e-12)
    covered = pairwise_intersection(boxes, image.ignored) / np.maximum(areas[:, None], 1e-12)
    is_hit, counts = np.zeros(len(boxes), dtype=bool), np.ones(len(boxes), dtype=bool)
    is_free = np.ones(len(image.true_boxes), dtype=bool)
    for index in range(len(boxes)):
        candidates = np.where(is_free, iou[index], -1.0)
        best = int(candidates.argmax()) if len(candidates) else -1
        if best >= 0 and candidates[best] >= min_iou:
            is_hit[index], is_free[best] = True, False
        else:
            counts[index] = not (covered[index] >= min_iou).any()
    return scores[counts], is_hit[counts]
