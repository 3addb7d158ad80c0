"""Matches the detections of an image with its ground-truth objects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from replay_ros.report.content.images import Boxes
from yolc_ros.boxes import box_areas, pairwise_intersection

MIN_IOU = 0.5  # the IoU of AP50


def match_boxes(detections: Boxes, truth: Boxes, min_iou: float = MIN_IOU) -> tuple[Boxes, Boxes]:
    """Return both with `matched` filled in.

    As in COCO: in descending order of score, a detection takes the unmatched object of its class with the largest IoU,
    if that is at least `min_iou`.
    """
    shared = pairwise_intersection(detections.xyxy, truth.xyxy)
    union = box_areas(detections.xyxy)[:, None] + box_areas(truth.xyxy) - shared
    iou = np.where(detections.labels[:, None] == truth.labels, shared / np.maximum(union, 1e-12), 0.0)
    is_hit, is_found = np.zeros(len(detections), bool), np.zeros(len(truth), bool)
    scores = np.zeros(len(detections)) if detections.scores is None else detections.scores
    for index in np.argsort(-scores, kind="stable"):
        candidates = np.where(is_found, 0.0, iou[index])
        if len(candidates) and candidates.max() >= min_iou:
            is_hit[index] = is_found[candidates.argmax()] = True
    return replace(detections, matched=is_hit), replace(truth, matched=is_found)
