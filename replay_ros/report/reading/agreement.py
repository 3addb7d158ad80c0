"""Which detections of an image lie on an object, and which objects were found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from replay_ros.report.content import Boxes
from yolc_ros.boxes import box_areas, pairwise_intersection

MIN_IOU = 0.5


def agree(found: Boxes, truth: Boxes, min_iou: float = MIN_IOU) -> tuple[Boxes, Boxes]:
    """Return both with `agrees` filled in.

    As COCO: in the order of the scores, a detection takes the free object of its class with the largest IoU of at least
    `min_iou`.
    """
    shared = pairwise_intersection(found.xyxy, truth.xyxy)
    union = box_areas(found.xyxy)[:, None] + box_areas(truth.xyxy) - shared
    iou = np.where(found.labels[:, None] == truth.labels, shared / np.maximum(union, 1e-12), 0.0)
    is_hit, is_found = np.zeros(len(found), bool), np.zeros(len(truth), bool)
    scores = np.zeros(len(found)) if found.scores is None else found.scores
    for index in np.argsort(-scores, kind="stable"):
        candidates = np.where(is_found, 0.0, iou[index])
        if len(candidates) and candidates.max() >= min_iou:
            is_hit[index] = is_found[candidates.argmax()] = True
    return replace(found, agrees=is_hit), replace(truth, agrees=is_found)
