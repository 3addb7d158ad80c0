"""Average precision by the protocols in use for VisDrone and COCO. They differ by points: name the one used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from yolc_ros.decoding import box_areas, pairwise_intersection
from yolc_ros.training.average_precision import ANY_AREA, ClassResult, judge, precision_over_recall

MIN_IOUS = np.linspace(0.5, 0.95, 10)
SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}  # pixels, as COCO
IGNORED_SHARE = 0.5  # of an object's or detection's area, from which it goes with the ignored regions

_AP50, _AP75 = 0, 5  # indices into MIN_IOUS


@dataclass(frozen=True)
class Protocol:
    """How AP is computed.

    max_detections: the best ones of an image that count for AP, max_detections_else for AP50, AP75 and the sizes;
    limit_over: whether that holds for each class or for the image. at_all_points: area under the whole curve of
    precision over recall, else its mean over 101 recalls. weighted_classes: each class weighs as many images as hold
    it, else all the same. uses_ignored: what lies in ignored regions is dropped, objects marked as not scored are
    neither found nor missed; else only crowds are (iscrowd), as in pycocotools.
    """

    about: str
    max_detections: int
    max_detections_else: int
    limit_over: Literal["class", "image"] = "class"
    at_all_points: bool = False
    weighted_classes: bool = False
    uses_ignored: bool = False


PROTOCOLS = {
    "official-visdrone": Protocol(
        "VisDrone's own: ignored regions dropped, 500 detections an image, all points, classes weighted by images",
        max_detections=500,
        max_detections_else=500,
        limit_over="image",
        at_all_points=True,
        weighted_classes=True,
        uses_ignored=True,
    ),
    "coco-500": Protocol("COCO with 500 detections an image and class", 500, 500),
    "yolc-release": Protocol("that of YOLC's code: COCO, AP at 100 detections, the rest at 1000", 100, 1000),
    "coco": Protocol("COCO, 100 detections an image and class (pycocotools' default)", 100, 100),
}


@dataclass(frozen=True, eq=False)
class ImageTruth:
    """What is labelled in one image. Boxes are xyxy, pixels.

    boxes: (N, 4). labels: (N,), class. crowd: (N,) bool, many objects in one box. unscored: (N,) bool, marked as not to
    be scored. regions: (M, 4), ignored regions.
    """

    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    unscored: np.ndarray
    regions: np.ndarray

    def select(self, index: np.ndarray) -> ImageTruth:
        """Return the objects of an index; regions stay."""
        return ImageTruth(self.boxes[index], self.labels[index], self.crowd[index], self.unscored[index], self.regions)


@dataclass(frozen=True, eq=False)
class ImageDetections:
    """What was found in one image. boxes: (N, 4) xyxy, pixels. scores, labels: (N,)."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def select(self, index: np.ndarray) -> ImageDetections:
        """Return the detections of an index, in its order."""
        return ImageDetections(self.boxes[index], self.scores[index], self.labels[index])


@dataclass(frozen=True)
class Precision:
    """AP of a class or of all, each 0 to 1: mean over IoU 0.5 to 0.95, at 0.5, at 0.75; None without any object."""

    ap: float | None
    ap50: float | None
    ap75: float | None


@dataclass(frozen=True)
class DetectionScores:
    """AP of all, by class (those with objects) and by size of the object (AP over the IoUs)."""

    overall: Precision
    by_class: dict[str, Precision]
    by_size: dict[str, float | None]


def score_detections(
    truths: Sequence[ImageTruth], found: Sequence[ImageDetections], classes: Sequence[str], protocol: Protocol
) -> DetectionScores:
    """Score the detections of each image; labels are indices into `classes`."""
    if protocol.uses_ignored:
        kept = [drop_ignored(truth, detections) for truth, detections in zip(truths, found, strict=True)]
        truths, found = [truth for truth, _ in kept], [detections for _, detections in kept]
    wide = _by_class(truths, found, classes, protocol, protocol.max_detections_else)
    strict = wide
    if protocol.max_detections != protocol.max_detections_else:
        strict = _by_class(truths, found, classes, protocol, protocol.max_detections)
    weights = _class_weights(truths, classes, protocol)
    return DetectionScores(
        overall=_precision(_weighted_mean(strict, weights), _weighted_mean(wide, weights)),
        by_class={
            name: _precision(strict[label], wide[label])
            for label, name in enumerate(classes)
            if np.isfinite(wide[label]).all()
        },
        by_size={
            size: _mean(
                _weighted_mean(
                    _by_class(truths, found, classes, protocol, protocol.max_detections_else, areas), weights
                )
            )
            for size, areas in SIZES.items()
        },
    )


def drop_ignored(truth: ImageTruth, found: ImageDetections) -> tuple[ImageTruth, ImageDetections]:
    """Leave out objects and detections with at least half of their area in the union of the ignored regions."""
    cells = disjoint(truth.regions)

    def is_outside(boxes: np.ndarray) -> np.ndarray:
        covered = pairwise_intersection(boxes, cells).sum(axis=1)
        return covered < IGNORED_SHARE * box_areas(boxes)

    return truth.select(is_outside(truth.boxes)), found.select(is_outside(found.boxes))


def disjoint(boxes: np.ndarray) -> np.ndarray:
    """Return boxes (K, 4) that cover what `boxes` (N, 4) cover, none of them overlapping."""
    x, y = np.unique(boxes[:, [0, 2]]), np.unique(boxes[:, [1, 3]])
    x0, y0 = (grid.ravel() for grid in np.meshgrid(x[:-1], y[:-1]))
    x1, y1 = (grid.ravel() for grid in np.meshgrid(x[1:], y[1:]))
    cells = np.stack([x0, y0, x1, y1], axis=1)
    is_inside = (cells[:, None, :2] >= boxes[:, :2]) & (cells[:, None, 2:] <= boxes[:, 2:])
    return cells[np.any(np.all(is_inside, axis=2), axis=1)]


def _by_class(
    truths: Sequence[ImageTruth],
    found: Sequence[ImageDetections],
    classes: Sequence[str],
    protocol: Protocol,
    limit: int,
    areas: tuple[float, float] = ANY_AREA,
) -> np.ndarray:
    """AP of each class at each IoU, (C, 10); NaN for a class without objects."""
    if protocol.limit_over == "image":
        found = [detections.select(_best(detections.scores, limit)) for detections in found]
    result = np.full((len(classes), len(MIN_IOUS)), np.nan)
    for label in range(len(classes)):
        judgements = [
            judge(_of_class(truth, detections, label, protocol, limit), MIN_IOUS, areas)
            for truth, detections in zip(truths, found, strict=True)
        ]
        result[label] = precision_over_recall(judgements, at_all_points=protocol.at_all_points)
    return result


def _of_class(truth: ImageTruth, found: ImageDetections, label: int, protocol: Protocol, limit: int) -> ClassResult:
    found = found.select(found.labels == label)
    found = found.select(_best(found.scores, limit))
    is_class, is_set_aside = truth.labels == label, _is_set_aside(truth, protocol)
    return ClassResult(
        found.boxes, found.scores, truth.boxes[is_class & ~is_set_aside], truth.boxes[is_class & is_set_aside]
    )


def _is_set_aside(truth: ImageTruth, protocol: Protocol) -> np.ndarray:
    return truth.crowd | truth.unscored if protocol.uses_ignored else truth.crowd


def _best(scores: np.ndarray, count: int) -> np.ndarray:
    return np.argsort(-scores, kind="stable")[:count]


def _class_weights(truths: Sequence[ImageTruth], classes: Sequence[str], protocol: Protocol) -> np.ndarray:
    """(C,): images that hold an object of the class, or 1."""
    if not protocol.weighted_classes:
        return np.ones(len(classes))
    held = [np.unique(truth.labels[~_is_set_aside(truth, protocol)]) for truth in truths]
    return np.bincount(np.concatenate(held).astype(np.int64), minlength=len(classes)).astype(np.float64)


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over classes (C, 10) -> (10,), of those that are not NaN; NaN where there are none."""
    there = np.isfinite(values).all(axis=1) & (weights > 0)
    if not there.any():
        return np.full(values.shape[1], np.nan)
    return np.average(values[there], axis=0, weights=weights[there])


def _precision(strict: np.ndarray, wide: np.ndarray) -> Precision:
    """From AP at each IoU (10,), with the detections that count for AP and with those for the rest."""
    return Precision(_mean(strict), _mean(wide[_AP50 : _AP50 + 1]), _mean(wide[_AP75 : _AP75 + 1]))


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if np.isfinite(values).all() else None
