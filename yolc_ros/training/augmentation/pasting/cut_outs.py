"""Objects cut out of labelled images along their outlines."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from yolc_ros.boxes import box_areas, pairwise_intersection, pairwise_iou
from yolc_ros.datasets.samples import Sample

_MASK_SIDE = 96  # pixels: larger objects are reduced to it while their outline is sought, for speed; empirical
_ROUNDS = 3  # of GrabCut; empirical
_SMALLEST_IOU = 0.75  # of the outline's box with the labelled box; below it the outline is taken as wrong; empirical
_SMALLEST_FILL = 0.4  # share of the outline's box that the object covers, likewise; a car at 45 degrees covers half


@dataclass(frozen=True)
class CutOut:
    """An object with some ground around it."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    mask: np.ndarray  # (H, W) uint8: 255 on the object, 0 on the ground
    label: int
    known: np.ndarray  # (C,) bool: classes that its image tells apart, see `ImageLabels`
    ground: float  # mean grey level of the ground in the image

    @property
    def box(self) -> np.ndarray:
        """Box (4,) xyxy float64 around the mask, pixels of `image`."""
        return mask_box(self.mask > 0)


def cut_out(sample: Sample, margin: float, smallest_side: float) -> list[CutOut]:
    """Cut out the objects of an image.

    Left out are objects with a side below smallest_side pixels, those whose box, grown by `margin` of its sides, leaves
    the image or meets another box or an ignored region, as they may be hidden in part, and those whose outline cannot
    be told from the ground.
    """
    truth, (height, width) = sample.truth, sample.image.shape[:2]
    sides = truth.boxes[:, 2:] - truth.boxes[:, :2]
    grown = truth.boxes + np.tile(sides * margin, 2) * np.array([-1, -1, 1, 1], dtype=np.float32)
    is_inside = (grown[:, :2] >= 0).all(axis=1) & (grown[:, 2:] <= [width, height]).all(axis=1)
    meets = pairwise_intersection(grown, np.concatenate([truth.boxes, truth.ignored])) > 0
    is_free = meets.sum(axis=1) == 1  # with its own box
    is_usable = is_inside & is_free & (sides.min(axis=1, initial=np.inf) >= smallest_side) & truth.known[truth.labels]
    found = []
    for index in np.flatnonzero(is_usable):
        x0, y0 = np.floor(grown[index, :2]).astype(int).tolist()
        x1, y1 = np.ceil(grown[index, 2:]).astype(int).tolist()
        image = sample.image[y0:y1, x0:x1].copy()
        mask = _outline(image, truth.boxes[index] - np.array([x0, y0, x0, y0]))
        if mask is not None:
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            ground = float(grey[mask == 0].mean())
            found.append(CutOut(image, mask, int(truth.labels[index]), truth.known, ground))
    return found


def mask_box(mask: np.ndarray) -> np.ndarray:
    """Box (4,) xyxy float64 around the true pixels of a mask (H, W) bool, of which there is at least one."""
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1], dtype=np.float64)


def _outline(image: np.ndarray, box: np.ndarray) -> np.ndarray | None:
    """Find the object in its box by GrabCut -> mask (H, W) uint8, 255 on the object; None where it is not plausible."""
    height, width = image.shape[:2]
    ratio = min(1.0, _MASK_SIDE / max(height, width))
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    x0, y0, x1, y1 = (box * np.tile([size[0] / width, size[1] / height], 2)).round().astype(int)
    classes = np.full(small.shape[:2], cv2.GC_BGD, dtype=np.uint8)
    classes[y0:y1, x0:x1] = cv2.GC_PR_FGD
    if (classes == cv2.GC_BGD).all() or (classes != cv2.GC_BGD).all():
        return None
    cv2.setRNGSeed(0)  # GrabCut starts from random clusters
    models = np.zeros((1, 65)), np.zeros((1, 65))  # of ground and object, filled by GrabCut
    cv2.grabCut(small, classes, [0, 0, 1, 1], *models, _ROUNDS, cv2.GC_INIT_WITH_MASK)  # the rectangle is not used
    contours, _ = cv2.findContours(
        np.isin(classes, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    if not contours:
        return None
    filled = np.zeros(small.shape[:2], dtype=np.uint8)
    cv2.drawContours(filled, [max(contours, key=cv2.contourArea)], 0, 255, cv2.FILLED)  # dark windows are no holes
    mask = np.where(cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR) >= 128, 255, 0).astype(np.uint8)
    return mask if _is_plausible(mask > 0, box) else None


def _is_plausible(mask: np.ndarray, box: np.ndarray) -> bool:
    if not mask.any():
        return False
    found = mask_box(mask)
    iou, fill = pairwise_iou(found[None], box[None])[0, 0], mask.sum() / box_areas(found[None])[0]
    return bool(iou >= _SMALLEST_IOU and fill >= _SMALLEST_FILL)
