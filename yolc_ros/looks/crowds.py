"""The Local Scale Module by sizes: crowds of objects that are too small for the network, each with its own zoom.

Unlike the published module (`clusters.py`), a cell is dense by the number of its objects, not by the area of heat, and
only objects below the sizes for which the network is good count. The zoom of a region brings its objects to the best
size, so a region whose objects have it already gets no second look.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolc_ros.boxes import ScoredBoxes
from yolc_ros.clusters import LSM_PRESETS as HEAT_PRESETS
from yolc_ros.clusters import LsmConfig, Region, cluster_boxes, densest_cells, enlarge
from yolc_ros.looks.bands import Band, scales_at
from yolc_ros.network.config import ObjectSizes

LARGE_SCORE = 0.3  # raw one of an object that limits the zoom (empirical)
_SHORTEST = 1e-3  # pixels, of a side that was clipped at the border of the image


@dataclass(frozen=True)
class CrowdConfig:
    """Which crowds get a second look; all values are empirical.

    cells: squares along the longer side of the image. densest: number of cells to select, the fullest first. score:
    lowest raw score of an object that counts, below that of a published one: small objects have low scores, and so have
    lane markings, whose crowds bring further false boxes from .1 on (docs/training_history.md). fewest: small
    objects that make a region worth a look. regions: number of regions to keep, those with the most small objects.
    smallest_gain: a region whose zoom is not so many times the scale of the first look is left out. largest_zoom: input
    pixels per image pixel. enlargement: factor by which a region grows about its centre. context: by which it grows at
    least on each side, input pixels, so that the network sees the surroundings of its objects.
    """

    cells: int = 16
    densest: int = 24
    score: float = 0.2
    fewest: int = 2
    regions: int = 2
    smallest_gain: float = 1.25
    largest_zoom: float = 1.5
    enlargement: float = 1.2
    context: float = 32.0

    def __post_init__(self) -> None:
        if min(self.cells, self.densest, self.fewest) < 1 or min(self.regions, self.context) < 0:
            raise ValueError("cells, densest and fewest must be at least 1, regions and context at least 0")
        if not 0 < self.score < 1 or self.smallest_gain < 1 or self.largest_zoom <= 0 or self.enlargement < 1:
            raise ValueError("score must lie in (0, 1), gain and enlargement be at least 1, largest_zoom positive")


LSM_PRESETS: dict[str, LsmConfig | CrowdConfig] = {"ours": CrowdConfig(), **HEAT_PRESETS}
"""Presets by name: ours by sizes; the paper's and the authors' by heat."""


def find_crowds(
    found: ScoredBoxes,
    bands: Sequence[Band],
    image_size: tuple[int, int],
    sizes: ObjectSizes,
    config: CrowdConfig,
    max_side: int = 0,
    *,
    useful_zoom: float = math.inf,
) -> tuple[Region, ...]:
    """Find crowds of small objects among the boxes of the first look, the one with the most of them first.

    found: boxes in image pixels. bands: of the first look. image_size: (width, height). max_side: of the network's
    input, pixels; 0: no limit. useful_zoom: of the image (`detail.useful_zoom`); a region gets no larger one.
    """
    width, height = image_size
    largest_zoom = min(config.largest_zoom, useful_zoom)
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    per_metre = pixels_per_metre(found, sizes)
    seen_at = scales_at(bands, centres[:, 1])
    small = (found.scores >= config.score) & (per_metre * seen_at < sizes.smallest)
    side = max(width, height) / config.cells
    x_edges, y_edges = (np.linspace(0, length, max(1, round(length / side)) + 1) for length in image_size)
    cells, _, _ = np.histogram2d(centres[small, 1], centres[small, 0], bins=(y_edges, x_edges))
    selected = densest_cells(cells.astype(np.int64), LsmConfig(densest=config.densest))
    clusters = cluster_boxes(selected, x_edges, y_edges)
    regions = []
    for cluster in clusters:
        crowd = small & _is_inside(centres, cluster)
        if crowd.sum() < config.fewest:
            continue
        zoom = min(sizes.best / float(np.median(per_metre[crowd])), largest_zoom)
        grown = enlarge(cluster[None], config.enlargement, width, height)[0]
        margin = config.context / zoom
        x0, y0 = (np.minimum(grown[:2], cluster[:2] - margin)).clip(0, image_size).astype(int).tolist()
        x1, y1 = (np.maximum(grown[2:], cluster[2:] + margin)).clip(0, image_size).round().astype(int).tolist()
        large = per_metre[_is_inside(centres, np.array([x0, y0, x1, y1])) & (found.scores >= LARGE_SCORE)]
        if len(large):  # what is large enough already must not become too large
            zoom = min(zoom, sizes.largest / float(large.max()))
        if max_side:
            zoom = min(zoom, max_side / max(x1 - x0, y1 - y0))
        if zoom >= config.smallest_gain * float(np.median(seen_at[crowd])):
            regions.append(Region(x0, y0, x1, y1, float(crowd.sum()), zoom))
    regions.sort(key=lambda region: -region.expected)
    return tuple(regions[: config.regions])


def _is_inside(centres: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Mark (N,) the centres (N, 2) inside a box (4,) xyxy."""
    return np.asarray((centres >= box[:2]).all(axis=1) & (centres < box[2:]).all(axis=1))


def pixels_per_metre(found: ScoredBoxes, sizes: ObjectSizes) -> np.ndarray:
    """Estimate the image pixels per metre (N,) at each box from its size and the typical size of its class."""
    sides = (found.boxes[:, 2:] - found.boxes[:, :2]).clip(min=_SHORTEST)
    return np.asarray(np.sqrt(sides.prod(axis=1)) / np.array(sizes.metres)[found.labels])
