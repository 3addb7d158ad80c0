"""Fusion of the boxes of the whole image and of the crops of its regions: every object exactly once.

A crop shows its objects better than the whole image does, except for objects cut by its borders. The position of a box
decides which pass an object is taken from:

1. A crop box that touches an inner border of its region (a border that is not the image's) belongs to a cut object and
   is dropped. The whole image or another crop shows the object completely.
2. A whole-image box well inside some region is dropped in favour of the crop.
3. Between "touches the border" and "well inside" lies a zone, as wide as two passes may disagree about a side. A crop
   box in the zone is a piece, and dropped, if most of it lies inside a box of another pass that crosses that border.
4. A whole-image box is dropped if a crop box of its class overlaps it strongly. Regions may overlap, so boxes of one
   object from two crops are duplicates, suppressed within each class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolc_ros.boxes import ScoredBoxes, box_areas, concatenate, pairwise_intersection, suppress_duplicates
from yolc_ros.clusters import Region

WHOLE_IMAGE = -1  # in place of the index of a region


@dataclass(frozen=True)
class FusionConfig:
    """Thresholds of the four rules; lengths in image pixels, fractions in 0 to 1. All values are empirical."""

    touches: float = 2.0  # a box this near to an inner border is cut by it
    zone: float = 2.0  # a whole-image box is well inside if it is this much further from the border ...
    zone_share: float = 0.1  # ... plus this fraction of its longer side
    same_iou: float = 0.4  # minimum IoU of a whole-image box and a crop box of one object
    piece_share: float = 0.7  # minimum fraction of a crop box that lies inside the box of which it is a piece


@dataclass(frozen=True)
class Fused:
    """Boxes, best score first, and the pass that gave each of them."""

    found: ScoredBoxes
    region: np.ndarray  # (N,) int64, index of the region; -1: the whole image


def fuse(
    of_image: ScoredBoxes,
    of_crops: Sequence[ScoredBoxes],
    regions: Sequence[Region],
    image_size: tuple[int, int],
    nms_iou: float | None,
    config: FusionConfig = FusionConfig(),
) -> Fused:
    """Fuse the boxes of both passes, all in image pixels; of_crops[i] was found in regions[i].

    image_size: (width, height).
    """
    uncut = [
        boxes.select(inner_distance(boxes.boxes, region, image_size) > config.touches)
        for boxes, region in zip(of_crops, regions, strict=True)
    ]
    left_to_crops = np.zeros(len(of_image), dtype=bool)
    for region in regions:
        left_to_crops |= inner_distance(of_image.boxes, region, image_size) > _margin(of_image.boxes, config)
    found = concatenate([of_image.select(~left_to_crops), *uncut])
    origin = np.repeat(np.arange(WHOLE_IMAGE, len(uncut)), [(~left_to_crops).sum(), *map(len, uncut)])

    kept = ~_pieces(found, origin, regions, image_size, config)
    found, origin = found.select(kept), origin[kept]
    kept = ~_covered_by_crops(found, origin, config)
    found, origin = found.select(kept), origin[kept]
    best = suppress_duplicates(found, nms_iou)
    return Fused(found.select(best), origin[best])


def fuse_as_release(
    of_image: ScoredBoxes, of_crops: Sequence[ScoredBoxes], regions: Sequence[Region], nms_iou: float | None
) -> Fused:
    """Merge the boxes of both passes as the authors' code does, in place of the four rules; boxes as in `fuse`.

    A whole-image box that lies fully inside a region is dropped. One that crosses its border stays, and all boxes of
    the crops are added, so that cut objects and those at the borders can be there twice.
    """
    inside = np.zeros(len(of_image), dtype=bool)
    for region in regions:
        low, high = np.array([region.x0, region.y0]), np.array([region.x1, region.y1])
        inside |= (of_image.boxes[:, :2] >= low).all(axis=1) & (of_image.boxes[:, 2:] <= high).all(axis=1)
    found = concatenate([of_image.select(~inside), *of_crops])
    origin = np.repeat(np.arange(WHOLE_IMAGE, len(of_crops)), [(~inside).sum(), *map(len, of_crops)])
    best = suppress_duplicates(found, nms_iou)
    return Fused(found.select(best), origin[best])


def inner_distance(boxes: np.ndarray, region: Region, image_size: tuple[int, int]) -> np.ndarray:
    """Distance (N,) of boxes (N, 4) xyxy from the nearest inner border of a region, pixels; negative outside.

    Sides of the region on the image's border are ignored, since they cut no object.
    """
    width, height = image_size
    distances = np.stack(
        [boxes[:, 0] - region.x0, boxes[:, 1] - region.y0, region.x1 - boxes[:, 2], region.y1 - boxes[:, 3]]
    )
    at_image_border = (region.x0 <= 0, region.y0 <= 0, region.x1 >= width, region.y1 >= height)
    distances[list(at_image_border)] = np.inf
    return np.asarray(distances.min(axis=0))


def _margin(boxes: np.ndarray, config: FusionConfig) -> np.ndarray:
    """Distance (N,) from the inner borders beyond which a box is well inside."""
    longer_side = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    return np.asarray(config.touches + config.zone + config.zone_share * longer_side)


def _pieces(
    found: ScoredBoxes, origin: np.ndarray, regions: Sequence[Region], image_size: tuple[int, int], config: FusionConfig
) -> np.ndarray:
    """Mark the crop boxes (N,) bool that rule 3 drops."""
    pieces = np.zeros(len(found), dtype=bool)
    for index, region in enumerate(regions):
        distance = inner_distance(found.boxes, region, image_size)
        in_zone = np.flatnonzero((origin == index) & (distance <= _margin(found.boxes, config)))
        crossing = np.flatnonzero((origin != index) & (distance <= config.touches))
        shared = _shared_area(found, in_zone, crossing)
        enough = config.piece_share * box_areas(found.boxes[in_zone])
        pieces[in_zone] = ((shared > enough[:, None]) & (shared > 0)).any(axis=1)
    return pieces


def _covered_by_crops(found: ScoredBoxes, origin: np.ndarray, config: FusionConfig) -> np.ndarray:
    """Mark the whole-image boxes (N,) bool that rule 4 drops."""
    of_image, of_crops = np.flatnonzero(origin == WHOLE_IMAGE), np.flatnonzero(origin != WHOLE_IMAGE)
    shared = _shared_area(found, of_image, of_crops)
    union = box_areas(found.boxes[of_image])[:, None] + box_areas(found.boxes[of_crops])[None] - shared
    covered = np.zeros(len(found), dtype=bool)
    covered[of_image] = ((shared > config.same_iou * union) & (shared > 0)).any(axis=1)
    return covered


def _shared_area(found: ScoredBoxes, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Intersection areas of the boxes with indices `rows` and `columns`, (R, C); 0 between different classes."""
    same_class = found.labels[rows][:, None] == found.labels[columns][None]
    return pairwise_intersection(found.boxes[rows], found.boxes[columns]) * same_class
