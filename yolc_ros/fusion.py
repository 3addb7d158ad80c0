"""One answer from the look at the whole image and the looks at its regions: every object exactly once.

A region shows its objects better than the whole image does, except those that its borders cut. Who is asked is
decided by where a box lies, so that each object has one owner:

1. A refined box that touches an inner border of its region (one that is not the image's border) is a cut object:
   dropped. The coarse look or another region has it whole.
2. A coarse box that lies well inside some region is dropped: the refined look owns it.
3. Between "touches the border" and "well inside" there is a zone, as wide as the looks may disagree about a side. A
   refined box in its zone is a piece, and dropped, when it lies inside a box of another look that crosses that border.
4. A coarse box yields to a refined one of its class that is nearly equal. Regions may overlap, and two refined looks at
   one object are doubles: suppressed within each class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolc_ros.clusters import Region
from yolc_ros.decoding import ScoredBoxes, box_areas, concatenate, pairwise_intersection, suppress_doubles

WHOLE_IMAGE = -1


@dataclass(frozen=True)
class FusionConfig:
    """Thresholds of the four rules; lengths in image pixels, shares in 0 to 1."""

    touches: float = 2.0  # a box this near to an inner border is cut by it
    zone: float = 2.0  # a coarse box must be this much further from it to be well inside ...
    zone_share: float = 0.1  # ... and this share of its longer side
    same_iou: float = 0.4  # a coarse and a refined box that are one object
    piece_share: float = 0.7  # share of a refined box inside a coarse one that makes it a piece of it


@dataclass(frozen=True)
class Fused:
    """Boxes, best first, and which look each comes from: index of the region, or -1 for the whole image."""

    found: ScoredBoxes
    regions: np.ndarray  # (N,) int64


def fuse(
    coarse: ScoredBoxes,
    refined: Sequence[ScoredBoxes],
    regions: Sequence[Region],
    image_size: tuple[int, int],
    nms_iou: float,
    config: FusionConfig = FusionConfig(),
) -> Fused:
    """Join the looks. All boxes in image pixels; refined[i] was found in regions[i]; image_size: (width, height)."""
    whole = [
        look.select(inner_distance(look.boxes, region, image_size) > config.touches)
        for look, region in zip(refined, regions, strict=True)
    ]
    owned = np.zeros(len(coarse), dtype=bool)
    for region in regions:
        owned |= inner_distance(coarse.boxes, region, image_size) > _margin(coarse.boxes, config)
    found = concatenate([coarse.select(~owned), *whole])
    origin = np.repeat(np.arange(WHOLE_IMAGE, len(whole)), [(~owned).sum(), *map(len, whole)])

    kept = ~_pieces(found, origin, regions, image_size, config)
    found, origin = found.select(kept), origin[kept]
    kept = ~_yielding(found, origin, config)
    found, origin = found.select(kept), origin[kept]
    best = suppress_doubles(found, nms_iou)
    return Fused(found.select(best), origin[best])


def inner_distance(boxes: np.ndarray, region: Region, image_size: tuple[int, int]) -> np.ndarray:
    """Distance (N,) of boxes (N, 4) xyxy from the nearest inner border of a region, pixels; negative outside.

    At the image's own border nothing is cut: those sides do not count.
    """
    width, height = image_size
    distances = np.stack(
        [boxes[:, 0] - region.x0, boxes[:, 1] - region.y0, region.x1 - boxes[:, 2], region.y1 - boxes[:, 3]]
    )
    at_image_border = (region.x0 <= 0, region.y0 <= 0, region.x1 >= width, region.y1 >= height)
    distances[list(at_image_border)] = np.inf
    return np.asarray(distances.min(axis=0))


def _margin(boxes: np.ndarray, config: FusionConfig) -> np.ndarray:
    """Distance (N,) from an inner border beyond which a box is well inside."""
    longer_side = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    return np.asarray(config.touches + config.zone + config.zone_share * longer_side)


def _pieces(
    found: ScoredBoxes, origin: np.ndarray, regions: Sequence[Region], image_size: tuple[int, int], config: FusionConfig
) -> np.ndarray:
    """Mark the refined boxes (N,) bool that rule 3 drops."""
    pieces = np.zeros(len(found), dtype=bool)
    for index, region in enumerate(regions):
        distance = inner_distance(found.boxes, region, image_size)
        in_zone = np.flatnonzero((origin == index) & (distance <= _margin(found.boxes, config)))
        crossing = np.flatnonzero((origin != index) & (distance <= config.touches))
        shared = _shared_area(found, in_zone, crossing)
        enough = config.piece_share * box_areas(found.boxes[in_zone])
        pieces[in_zone] = ((shared > enough[:, None]) & (shared > 0)).any(axis=1)
    return pieces


def _yielding(found: ScoredBoxes, origin: np.ndarray, config: FusionConfig) -> np.ndarray:
    """Mark the coarse boxes (N,) bool that rule 4 drops."""
    coarse, refined = np.flatnonzero(origin == WHOLE_IMAGE), np.flatnonzero(origin != WHOLE_IMAGE)
    shared = _shared_area(found, coarse, refined)
    union = box_areas(found.boxes[coarse])[:, None] + box_areas(found.boxes[refined])[None] - shared
    yields = np.zeros(len(found), dtype=bool)
    yields[coarse] = ((shared > config.same_iou * union) & (shared > 0)).any(axis=1)
    return yields


def _shared_area(found: ScoredBoxes, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Intersection (rows, columns); 0 between classes."""
    same_class = found.labels[rows][:, None] == found.labels[columns][None]
    return pairwise_intersection(found.boxes[rows], found.boxes[columns]) * same_class
