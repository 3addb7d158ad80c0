"""Local Scale Module: where objects crowd, cut out, enlarge and look again (paper section III-A)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from yolc_ros.decoding import blur
from yolc_ros.preprocessing import Placement


@dataclass(frozen=True)
class LsmConfig:
    """How dense cells become regions. Lengths are in pixels of the network's input, shares in 0 to 1.

    presence: probability (class-wise maximum of the blurred heatmap) from which a pixel counts. With
    `relative_presence` it holds for an image whose darkest pixel is 0 and is stretched for others, as the authors do.
    densest: cells that are taken, the fullest first; with `skip_empty` never one without any present pixel.
    cover_remainder: cells reach the far edges; otherwise rows and columns that do not divide evenly are left out.
    regions: regions that are kept, the largest first. `smallest_area` is what a region must have before it is enlarged;
    it is applied before that choice, or after it with `choose_before_filtering`, which then can leave fewer.
    enlargement: of a region about its centre. zoom: input pixels for an image pixel in the second look.
    """

    columns: int = 16
    rows: int = 10
    presence: float = 0.09
    relative_presence: bool = False
    densest: int = 15
    skip_empty: bool = True
    cover_remainder: bool = True
    regions: int = 2
    smallest_area: float = 96.0 * 96.0
    choose_before_filtering: bool = False
    enlargement: float = 1.2
    zoom: float = 1.5

    def __post_init__(self) -> None:
        if min(self.columns, self.rows, self.densest) < 1 or min(self.regions, self.smallest_area) < 0:
            raise ValueError("columns, rows and densest must be at least 1, regions and smallest_area at least 0")
        if not 0 < self.presence < 1:
            raise ValueError(f"presence must lie between 0 and 1, not {self.presence}")
        if self.enlargement < 1 or self.zoom <= 0:
            raise ValueError("enlargement must be at least 1 and zoom positive")


LSM_PRESETS = {
    "ours": LsmConfig(presence=0.4),
    "paper": LsmConfig(densest=50, smallest_area=0.0),
    "release": LsmConfig(
        presence=1 - 232 / 255,
        relative_presence=True,
        skip_empty=False,
        cover_remainder=False,
        choose_before_filtering=True,
    ),
}
"""The paper's best setting, what the authors' code does, and ours.

Weights whose rare classes counted more while they were trained, as those that are shipped, see a little of everything
everywhere: at the paper's presence of 0.09 half of their heatmap counts, and the fullest cells are no crowds.
"""


@dataclass(frozen=True)
class Region:
    """A crowded part of an image: a box in whole image pixels, x1 and y1 exclusive."""

    x0: int
    y0: int
    x1: int
    y1: int
    expected: float  # objects expected: peaks of the first look inside
    scale: float  # input pixels for an image pixel in the second look


def presence_threshold(logits: Tensor, config: LsmConfig) -> float:
    """Probability from which a pixel of this heatmap (C, H, W) counts as holding an object."""
    if not config.relative_presence:
        return config.presence
    darkest = blur(logits.float().sigmoid()).amax(0).amin().item()
    return 1 - (1 - config.presence) * (1 - darkest)


def count_cells(present: Tensor, config: LsmConfig) -> np.ndarray:
    """Count pixels in each cell. present: (H, W) bool -> (rows, columns) int64; only these counts leave the device."""
    height, width = present.shape
    in_row = _membership(cell_edges(height, config.rows, config), height).to(present.device)
    in_column = _membership(cell_edges(width, config.columns, config), width).to(present.device)
    counts = in_row @ present.float() @ in_column.T
    return counts.round().long().cpu().numpy()


def find_clusters(counts: np.ndarray, width: int, height: int, config: LsmConfig) -> np.ndarray:
    """Regions of an input of width x height pixels, from the counts of its cells (rows, columns).

    -> (n, 4) float64 xyxy, input pixels, clipped to the input, the largest first. Equally full cells are taken and
    equally large regions are kept in reading order.
    """
    chosen = densest_cells(counts, config)
    boxes = cluster_boxes(chosen, cell_edges(width, config.columns, config), cell_edges(height, config.rows, config))
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order = np.argsort(-areas, kind="stable")
    large = order[areas[order] >= config.smallest_area]
    if config.choose_before_filtering:
        kept = [index for index in order[: config.regions] if index in large]
    else:
        kept = list(large[: config.regions])
    return enlarge(boxes[kept], config.enlargement, width, height)


def cell_edges(length: int, cells: int, config: LsmConfig) -> np.ndarray:
    """Borders (cells + 1,) int64 of the cells along a side of `length` pixels."""
    if config.cover_remainder:
        return np.arange(cells + 1) * length // cells
    return np.arange(cells + 1) * (length // cells)


def densest_cells(counts: np.ndarray, config: LsmConfig) -> np.ndarray:
    """Mark the `densest` cells with the highest counts (rows, columns), the first in reading order among equals."""
    best = np.argsort(-counts, axis=None, kind="stable")[: config.densest]
    chosen = np.zeros(counts.size, dtype=bool)
    chosen[best] = True
    if config.skip_empty:
        chosen &= counts.reshape(-1) > 0
    return chosen.reshape(counts.shape)


def cluster_boxes(chosen: np.ndarray, x_edges: np.ndarray, y_edges: np.ndarray) -> np.ndarray:
    """Bounding boxes (n, 4) xyxy of 8-connected groups of cells. chosen: (rows, columns) bool."""
    count, labels = cv2.connectedComponents(chosen.astype(np.uint8), connectivity=8)
    boxes = np.zeros((count - 1, 4))
    for index in range(1, count):
        rows, columns = np.nonzero(labels == index)
        boxes[index - 1] = (
            x_edges[columns.min()],
            y_edges[rows.min()],
            x_edges[columns.max() + 1],
            y_edges[rows.max() + 1],
        )
    return boxes


def enlarge(boxes: np.ndarray, factor: float, width: int, height: int) -> np.ndarray:
    """Scale boxes (n, 4) xyxy about their centres and clip them to 0..width, 0..height."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * factor
    limits = np.array([width, height], dtype=np.float64)
    return np.concatenate([(centre - half).clip(0, limits), (centre + half).clip(0, limits)], axis=1)


def to_regions(
    clusters: np.ndarray, placement: Placement, centres: np.ndarray, zoom: float, max_side: int = 0
) -> tuple[Region, ...]:
    """Bring clusters (n, 4) xyxy from input to whole image pixels, clipped to the image.

    centres: (N, 2) of the objects found in the first look, image pixels. The zoom is reduced where the second look's
    input would be longer than max_side (0: no limit). Regions that are empty, or that would not be seen any larger
    than in the first look, are left out.
    """
    size = np.array(placement.image_size)
    boxes = placement.to_image(clusters).astype(np.float64).round(2)  # rounding noise must not add a pixel
    low = np.floor(boxes[:, :2]).clip(0, size).astype(int)
    high = np.ceil(boxes[:, 2:]).clip(0, size).astype(int)
    regions = []
    for (x0, y0), (x1, y1) in zip(low.tolist(), high.tolist(), strict=True):
        longer_side = max(x1 - x0, y1 - y0)
        if min(x1 - x0, y1 - y0) < 1:
            continue
        scale = min(zoom, max_side / longer_side) if max_side else zoom
        if scale > max(placement.scale):
            inside = (centres >= (x0, y0)).all(axis=1) & (centres < (x1, y1)).all(axis=1)
            regions.append(Region(x0, y0, x1, y1, float(inside.sum()), scale))
    return tuple(regions)


def _membership(edges: np.ndarray, length: int) -> Tensor:
    """(cells, length) float32: 1 where a pixel belongs to a cell."""
    pixel = torch.arange(length)
    low, high = torch.from_numpy(edges[:-1])[:, None], torch.from_numpy(edges[1:])[:, None]
    return ((pixel >= low) & (pixel < high)).float()
