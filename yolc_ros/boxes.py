"""Boxes as numpy arrays: scored boxes, areas, intersections and non-maximum suppression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_NMS_BLOCK = 256  # rows of the overlap matrix in memory at a time; empirical


@dataclass(frozen=True)
class ScoredBoxes:
    """Boxes of one image with their scores and classes."""

    boxes: np.ndarray  # (N, 4) float32 xyxy, pixels
    scores: np.ndarray  # (N,) float32
    labels: np.ndarray  # (N,) int64

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, index: np.ndarray) -> ScoredBoxes:
        """Select by a mask (N,) bool or by indices (M,) int."""
        return ScoredBoxes(self.boxes[index], self.scores[index], self.labels[index])

    def shifted(self, x: float, y: float) -> ScoredBoxes:
        """Move all boxes by (x, y) pixels."""
        return ScoredBoxes(self.boxes + np.array([x, y, x, y], dtype=np.float32), self.scores, self.labels)

    def mirrored(self, width: int) -> ScoredBoxes:
        """Mirror all boxes left to right in an image of this width, pixels."""
        x0, y0, x1, y1 = self.boxes.T
        return ScoredBoxes(np.stack([width - x1, y0, width - x0, y1], axis=1), self.scores, self.labels)


def concatenate(parts: Sequence[ScoredBoxes]) -> ScoredBoxes:
    """Concatenate sets of boxes; no sets give an empty set with all fields."""
    return ScoredBoxes(
        np.concatenate([np.zeros((0, 4), np.float32), *(part.boxes for part in parts)]),
        np.concatenate([np.zeros(0, np.float32), *(part.scores for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(part.labels for part in parts)]),
    )


def suppress_duplicates(found: ScoredBoxes, max_iou: float | None) -> np.ndarray:
    """Non-maximum suppression within each class -> indices (M,) of the boxes that remain, best score first.

    A box is dropped if its IoU with a remaining box of its class and a better score exceeds `max_iou`; None: never.
    """
    order = np.argsort(-found.scores, kind="stable")
    if max_iou is None:
        return order
    survives = np.zeros(len(found), dtype=bool)
    for label in np.unique(found.labels):
        members = order[found.labels[order] == label]
        survives[members[_greedy_suppression(found.boxes[members], max_iou)]] = True
    return order[survives[order]]


def _greedy_suppression(boxes: np.ndarray, max_iou: float) -> np.ndarray:
    """Indices of the boxes (N, 4), given best first, whose IoU with every better remaining box is at most max_iou."""
    kept: list[np.ndarray] = [np.zeros(0, np.int64)]
    areas = box_areas(boxes)
    waiting = np.arange(len(boxes))
    while len(waiting):
        head, rest = waiting[:_NMS_BLOCK], waiting[_NMS_BLOCK:]
        shared = pairwise_intersection(boxes[head], boxes[waiting])
        union = areas[head, None] + areas[waiting] - shared
        overlaps = (shared > max_iou * union) & (shared > 0)
        suppressed = np.zeros(len(waiting), dtype=bool)
        survivors = []
        for row in range(len(head)):
            if not suppressed[row]:
                survivors.append(row)
                suppressed |= overlaps[row]
        kept.append(head[survivors])
        waiting = rest[~suppressed[_NMS_BLOCK:]]
    return np.concatenate(kept)


def pairwise_iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU (N, M) of boxes (N, 4) and (M, 4), xyxy; 0 for two boxes without an area."""
    shared = pairwise_intersection(boxes, others)
    return np.asarray(shared / np.maximum(box_areas(boxes)[:, None] + box_areas(others) - shared, 1e-12))


def pairwise_intersection(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection areas (N, M) of boxes (N, 4) and others (M, 4), xyxy."""
    width = _shared_length(boxes[:, 0], boxes[:, 2], others[:, 0], others[:, 2])
    height = _shared_length(boxes[:, 1], boxes[:, 3], others[:, 1], others[:, 3])
    return np.asarray(width * height)


def _shared_length(low: np.ndarray, high: np.ndarray, other_low: np.ndarray, other_high: np.ndarray) -> np.ndarray:
    """Intersection lengths (N, M) of intervals, 0 for disjoint ones."""
    length = np.minimum(high[:, None], other_high) - np.maximum(low[:, None], other_low)
    return np.maximum(length, 0, out=length)


def box_areas(boxes: np.ndarray) -> np.ndarray:
    """Areas (N,) of boxes (N, 4) xyxy; 0 for a box with a negative side."""
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(axis=1))
