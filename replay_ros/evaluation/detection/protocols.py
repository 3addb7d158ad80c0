"""The protocols of average precision for aerial images. They differ by several points of AP, so name the one used.

The rules of VisDrone and UAVDT are those of their toolkits (`VisDrone2018-DET-toolkit`, and the DET part of UAVDT's
benchmark toolkit), the rules of COCO those of pycocotools.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from yolc_ros.boxes import box_areas, pairwise_intersection

IGNORED_SHARE = 0.5  # share of a box's area in ignored regions from which VisDrone's toolkit drops the box


@dataclass(frozen=True)
class Protocol:
    """How AP is computed.

    max_detections: the highest-scoring detections that count for AP; max_detections_else: for AP50, AP75 and the sizes;
    limit_over: whether both hold for each class or for the whole image. recall_limits: numbers of detections of the
    mean recalls. ap_iou: AP at this IoU; None: mean over 0.5 to 0.95. at_all_points: area under the whole
    precision-recall curve, else mean precision over 101 recalls. weighted_classes: the weight of a class in the mean is
    its number of images, else 1. joins_classes: detections and objects match whatever their classes; the figures of
    single classes are still computed class by class.
    regions: effect of ignored regions. "kept": none, as in pycocotools, which has only crowds (iscrowd). "half":
    objects and detections with at least half of their area in them are dropped. Objects marked as not scored are never
    found, and detections on them do not count; but they count as objects, in recall and in the weight of their class,
    as in VisDrone's toolkit. "inside": detections that lie wholly in one are dropped.
    """

    about: str
    max_detections: int
    max_detections_else: int
    limit_over: Literal["class", "image"] = "class"
    recall_limits: tuple[int, ...] = ()
    ap_iou: float | None = None
    at_all_points: bool = False
    weighted_classes: bool = False
    joins_classes: bool = False
    regions: Literal["kept", "half", "inside"] = "kept"


PROTOCOLS = {
    "official-visdrone": Protocol(
        "VisDrone's own: ignored regions dropped, 500 detections an image, all points, classes weighted by images",
        max_detections=500,
        max_detections_else=500,
        limit_over="image",
        recall_limits=(1, 10, 100, 500),
        at_all_points=True,
        weighted_classes=True,
        regions="half",
    ),
    "coco-500": Protocol("COCO with 500 detections an image and class", 500, 500, recall_limits=(1, 10, 100, 500)),
    "yolc-release": Protocol(
        "that of YOLC's code: COCO, AP at 100 detections, the rest at 1000", 100, 1000, recall_limits=(100, 300, 1000)
    ),
    "coco": Protocol(
        "COCO, 100 detections an image and class (pycocotools' default)", 100, 100, recall_limits=(1, 10, 100)
    ),
    "uavdt": Protocol(
        "UAVDT's own: vehicles of all classes as one, AP at IoU 0.7, all points, detections in ignored regions dropped",
        max_detections=1000,
        max_detections_else=1000,
        limit_over="image",
        ap_iou=0.7,
        at_all_points=True,
        joins_classes=True,
        regions="inside",
    ),
}


@dataclass(frozen=True, eq=False)
class ImageTruth:
    """The ground truth of one image. Boxes are xyxy, pixels.

    boxes: (N, 4). labels: (N,), class. crowd: (N,) bool, many objects in one box. unscored: (N,) bool, marked as not
    scored. regions: (M, 4), ignored regions.
    """

    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    unscored: np.ndarray
    regions: np.ndarray

    def select(self, index: np.ndarray) -> ImageTruth:
        """Return the truth with the objects of an index and all regions."""
        return ImageTruth(self.boxes[index], self.labels[index], self.crowd[index], self.unscored[index], self.regions)


@dataclass(frozen=True, eq=False)
class ImageDetections:
    """The detections in one image. boxes: (N, 4) xyxy, pixels. scores, labels: (N,)."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def select(self, index: np.ndarray) -> ImageDetections:
        """Return the detections of an index, in its order."""
        return ImageDetections(self.boxes[index], self.scores[index], self.labels[index])


def apply_regions(truth: ImageTruth, found: ImageDetections, protocol: Protocol) -> tuple[ImageTruth, ImageDetections]:
    """Leave out the objects and detections that the protocol drops because of ignored regions."""
    if protocol.regions == "half":
        return drop_ignored(truth, found)
    if protocol.regions == "inside":
        return truth, found.select(~_is_inside(found.boxes, truth.regions))
    return truth, found


def is_set_aside(truth: ImageTruth, protocol: Protocol) -> np.ndarray:
    """Return (N,) bool: the objects that are never found; a detection on one is neither right nor false."""
    return truth.crowd | truth.unscored if protocol.regions == "half" else truth.crowd


def is_counted(truth: ImageTruth, protocol: Protocol) -> np.ndarray:
    """Return (N,) bool: the objects that count in recall and in the weight of their class."""
    return ~truth.crowd if protocol.regions == "half" else ~is_set_aside(truth, protocol)


def drop_ignored(truth: ImageTruth, found: ImageDetections) -> tuple[ImageTruth, ImageDetections]:
    """Leave out objects and detections with at least half of their area in the union of the ignored regions.

    Counted in whole pixels as VisDrone's toolkit does. A region there has one more pixel at the left and at the top
    than its box, which decides about small objects at its border.
    """
    regions = _whole_pixels(truth.regions)
    cells = split_disjoint(regions - [1, 1, 0, 0])
    kept = (_is_mostly_outside(_whole_pixels(boxes), cells) for boxes in (truth.boxes, found.boxes))
    return truth.select(next(kept)), found.select(next(kept))


def _whole_pixels(boxes: np.ndarray) -> np.ndarray:
    """Round the corners and sides of boxes (N, 4) to whole pixels, at least 1, as VisDrone's toolkit does."""
    corners, sides = (np.maximum(np.floor(values + 0.5), 1) for values in (boxes[:, :2], boxes[:, 2:] - boxes[:, :2]))
    return np.hstack([corners, corners + sides])


def split_disjoint(boxes: np.ndarray) -> np.ndarray:
    """Return boxes (K, 4) that cover the same area as `boxes` (N, 4) without overlap."""
    x, y = np.unique(boxes[:, [0, 2]]), np.unique(boxes[:, [1, 3]])
    x0, y0 = (grid.ravel() for grid in np.meshgrid(x[:-1], y[:-1]))
    x1, y1 = (grid.ravel() for grid in np.meshgrid(x[1:], y[1:]))
    cells = np.stack([x0, y0, x1, y1], axis=1)
    is_inside = (cells[:, None, :2] >= boxes[:, :2]) & (cells[:, None, 2:] <= boxes[:, 2:])
    return cells[np.any(np.all(is_inside, axis=2), axis=1)]


def _is_mostly_outside(boxes: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return (N,) bool: whether less than IGNORED_SHARE of a box lies in the disjoint cells (K, 4)."""
    covered = pairwise_intersection(boxes, cells).sum(axis=1)
    return np.asarray(covered < IGNORED_SHARE * box_areas(boxes))


def _is_inside(boxes: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Return (N,) bool: whether a box lies strictly inside one region; touching its border is not inside."""
    is_within = np.concatenate([boxes[:, None, :2] > regions[:, :2], boxes[:, None, 2:] < regions[:, 2:]], axis=2)
    return np.asarray(np.any(np.all(is_within, axis=2), axis=1))
