"""Local Scale Module (LSM): finds crowded regions, which get a second, enlarged pass (paper section III-A)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from yolc_ros.decoding import blur
from yolc_ros.preprocessing import Placement


@dataclass(frozen=True)
class LsmConfig:
    """Parameters of the LSM. Lengths are in pixels of the network's input, fractions in 0 to 1.

    columns, rows: of the grid of cells over the heatmap.
    presence: probability (class-wise maximum of the blurred heatmap) from which a pixel counts as occupied. With
    `relative_presence` it applies to the probabilities stretched so that their minimum is 0, as in the authors' code.
    densest: number of cells to select, the fullest first. skip_empty: never select a cell without occupied pixels.
    cover_remainder: cells extend to the far borders; False: leave out rows and columns that do not divide evenly.
    regions: number of regions to keep, the largest first. smallest_area: minimum area of a region before enlargement;
    tested before the choice of the largest or, with `choose_before_filtering`, after it, which can leave fewer.
    enlargement: factor by which a region grows about its centre. zoom: input pixels per image pixel in the crop pass.
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
    "heat": LsmConfig(presence=0.4),
    "paper": LsmConfig(densest=50, smallest_area=0.0),
    "release": LsmConfig(
        presence=1 - 232 / 255,
        relative_presence=True,
        skip_empty=False,
        cover_remainder=False,
        choose_before_filtering=True,
    ),
}
"""Presets by heat: that for our weights, the paper's best setting, and the behaviour of the authors' code.

The shipped weights were trained with weighted classes, which raises the floor of the heatmap: at the paper's presence
of 0.09 half of its pixels count as occupied. A presence of 0.4 was chosen on held-out views (docs/training_history.md).
"""


@dataclass(frozen=True)
class Region:
    """A crowded region of an image: a box in whole image pixels, x1 and y1 exclusive."""

    x0: int
    y0: int
    x1: int
    y1: int
    expected: float  # number of objects of the first pass whose centre lies inside
    scale: float  # input pixels per image pixel in the crop pass


def presence_threshold(logits: Tensor, config: LsmConfig) -> float:
    """Probability from which a pixel of this heatmap (C, H, W) counts as occupied by an object."""
    if not config.relative_presence:
        return config.presence
    darkest = blur(logits.float().sigmoid()).amax(0).amin().item()
    return 1 - (1 - config.presence) * (1 - darkest)


def count_cells(present: Tensor, config: LsmConfig) -> Tensor:
    """Count the occupied pixels of each cell: present (H, W) bool -> (rows, columns) float32, whole numbers.

    All is computed on the device of `present`, without a copy to it or from it.
    """
    height, width = present.shape
    in_row = _membership(height, config.rows, config, present.device)
    in_column = _membership(width, config.columns, config, present.device)
    return (in_row @ present.float() @ in_column.T).round()


def find_clusters(counts: np.ndarray, width: int, height: int, config: LsmConfig) -> np.ndarray:
    """Find crowded regions of an input of width x height pixels from the counts of its cells (rows, columns).

    -> (n, 4) float64 xyxy, input pixels, clipped to the input, the largest first. Ties between cells and between
    regions are resolved in reading order.
    """
    selected = densest_cells(counts, config)
    boxes = cluster_boxes(selected, cell_edges(width, config.columns, config), cell_edges(height, config.rows, config))
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order = np.argsort(-areas, kind="stable")
    large = order[areas[order] >= config.smallest_area]
    if config.choose_before_filtering:
        kept = [index for index in order[: config.regions] if index in large]
    else:
        kept = list(large[: config.regions])
    return enlarge(boxes[kept], config.enlargement, width, height)


def cell_edges(length: int, cells: int, config: LsmConfig) -> np.ndarray:
    """Edges (cells + 1,) int64 of the cells along a side of `length` pixels."""
    return _edge(np.arange(cells + 1), length, cells, config)


_Numbers = TypeVar("_Numbers", np.ndarray, Tensor)


def _edge(number: _Numbers, length: int, cells: int, config: LsmConfig) -> _Numbers:
    """Return the edges with these numbers, any shape int64, see `cell_edges`."""
    return number * length // cells if config.cover_remainder else number * (length // cells)


def densest_cells(counts: np.ndarray, config: LsmConfig) -> np.ndarray:
    """Mark (rows, columns) bool the `densest` cells with the highest counts; ties in reading order."""
    best = np.argsort(-counts, axis=None, kind="stable")[: config.densest]
    selected = np.zeros(counts.size, dtype=bool)
    selected[best] = True
    if config.skip_empty:
        selected &= counts.reshape(-1) > 0
    return selected.reshape(counts.shape)


def cluster_boxes(selected: np.ndarray, x_edges: np.ndarray, y_edges: np.ndarray) -> np.ndarray:
    """Bounding boxes (n, 4) xyxy of the 8-connected groups of selected cells, (rows, columns) bool."""
    count, labels = cv2.connectedComponents(selected.astype(np.uint8), connectivity=8)
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
    """Scale boxes (n, 4) xyxy about their centres and clip them to width x height."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * factor
    limits = np.array([width, height], dtype=np.float64)
    return np.concatenate([(centre - half).clip(0, limits), (centre + half).clip(0, limits)], axis=1)


def to_regions(
    clusters: np.ndarray, placement: Placement, centres: np.ndarray, zoom: float, max_side: int = 0
) -> tuple[Region, ...]:
    """Convert clusters (n, 4) xyxy from input to whole image pixels, clipped to the image.

    centres: (N, 2) of the objects of the first pass, image pixels. The zoom is reduced where the input of the crop pass
    would be longer than max_side (0: no limit). Regions that are empty, or that the crop pass would not enlarge
    relative to the first pass, are left out.
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


def _membership(length: int, cells: int, config: LsmConfig, device: torch.device) -> Tensor:
    """(cells, length) float32: 1 for the pixels of each cell."""
    pixel, cell = torch.arange(length, device=device), torch.arange(cells, device=device)[:, None]
    low, high = (_edge(number, length, cells, config) for number in (cell, cell + 1))
    return ((pixel >= low) & (pixel < high)).float()
