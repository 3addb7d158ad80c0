"""Uniform slicing (SAHI, arXiv 2202.06934) with a YOLC network: the baseline of the Local Scale Module.

The image is cut into overlapping slices of one size. The network runs on each slice as on an image of its own, and the
boxes of one object from several slices are merged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from yolc_ros.boxes import ScoredBoxes, box_areas, concatenate, pairwise_intersection
from yolc_ros.clusters import Region
from yolc_ros.detector import Detections, Detector

Merge = Literal["greedy", "nms"]


@dataclass(frozen=True)
class SlicingConfig:
    """How an image is sliced and its boxes are merged.

    size: side of a slice, image pixels. overlap: of neighbouring slices, share of the size. zoom: input pixels per
    image pixel in a slice (1.5 as in the crops of the LSM). whole_image: also run the network on the whole image.
    merge: "greedy" gives the hull of the boxes of one object, "nms" its highest-scoring box. same_share: boxes of a
    class are one object where their intersection is at least this share of the smaller box (a cut object lies inside
    the whole one).
    """

    size: int = 640
    overlap: float = 0.2
    zoom: float = 1.5
    whole_image: bool = True
    merge: Merge = "greedy"
    same_share: float = 0.5

    def __post_init__(self) -> None:
        if self.size < 32 or self.zoom <= 0:
            raise ValueError("size must be at least 32 pixels and zoom positive")
        if not 0 <= self.overlap < 1 or not 0 < self.same_share <= 1:
            raise ValueError("overlap must lie in [0, 1) and same_share in (0, 1]")


def detect_sliced(detector: Detector, image: np.ndarray, config: SlicingConfig) -> Detections:
    """Detect objects in an RGB image (H, W, 3) uint8, without the LSM; `regions` of the result are the slices."""
    height, width = image.shape[:2]
    settings = replace(detector.settings, lsm=None)
    zoom = min(config.zoom, settings.max_side / config.size) if settings.max_side else config.zoom
    zoomed = replace(detector, settings=replace(settings, scales=tuple(zoom * scale for scale in settings.scales)))
    passes: list[ScoredBoxes] = []
    origins: list[int] = []
    regions: list[Region] = []
    if config.whole_image:
        passes.append(_scored(replace(detector, settings=settings).detect(image)))
        origins.append(-1)
    for x0, y0, x1, y1 in slices(width, height, config).tolist():
        found = _scored(zoomed.detect(np.ascontiguousarray(image[y0:y1, x0:x1])))
        corner = np.array([x0, y0, x0, y0], np.float32)
        passes.append(ScoredBoxes(found.boxes + corner, found.scores, found.labels))
        origins.append(len(regions))
        regions.append(Region(x0, y0, x1, y1, float(len(found)), zoom))
    every, origin = concatenate(passes), np.repeat(np.array(origins, np.int64), [len(each) for each in passes])
    boxes, kept = merge_boxes(every, config)
    kept, boxes = kept[: settings.max_detections], boxes[: settings.max_detections]
    return Detections(boxes, every.scores[kept], every.labels[kept], origin[kept], tuple(regions), detector.class_names)


def slices(width: int, height: int, config: SlicingConfig) -> np.ndarray:
    """Return slices (N, 4) int64 x0, y0, x1, y1 in reading order that cover an image, the last ones at its edges."""
    step = max(1, round(config.size * (1 - config.overlap)))
    rows, columns = _starts(height, config.size, step), _starts(width, config.size, step)
    return np.array([(x, y, min(x + config.size, width), min(y + config.size, height)) for y in rows for x in columns])


def merge_boxes(found: ScoredBoxes, config: SlicingConfig) -> tuple[np.ndarray, np.ndarray]:
    """Merge the boxes of each object: the highest-scoring remaining box absorbs those of its object by `same_share`.

    Returns boxes (K, 4) float32 and the index (K,) of the highest-scoring box of each, in the order of the scores.
    """
    order = np.argsort(-found.scores, kind="stable")
    boxes, labels = np.asarray(found.boxes, np.float32)[order], found.labels[order]
    areas = box_areas(boxes)
    is_left = np.ones(len(order), dtype=bool)
    joined, kept = [], []
    for best in range(len(order)):
        if not is_left[best]:
            continue
        others = np.flatnonzero(is_left & (labels == labels[best]))
        shared = pairwise_intersection(boxes[best : best + 1], boxes[others])[0]
        smaller = np.maximum(np.minimum(areas[others], areas[best]), 1e-9)
        same = others[(shared >= config.same_share * smaller) | (others == best)]
        is_left[same] = False
        low, high = boxes[same, :2].min(axis=0), boxes[same, 2:].max(axis=0)
        joined.append(boxes[best] if config.merge == "nms" else np.concatenate([low, high]))
        kept.append(order[best])
    return np.array(joined, np.float32).reshape(-1, 4), np.array(kept, np.int64)


def _starts(length: int, size: int, step: int) -> list[int]:
    """Return the first pixels of the slices along a side."""
    if length <= size:
        return [0]
    return [*range(0, length - size, step), length - size]


def _scored(found: Detections) -> ScoredBoxes:
    return ScoredBoxes(found.boxes, found.scores, found.labels)
