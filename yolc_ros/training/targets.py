"""Training targets of an image: heatmap, boxes at their cells, and masks of unlabelled regions and classes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from yolc_ros.datasets.samples import ImageLabels
from yolc_ros.network.config import BOX_STRIDE

MIN_OVERLAP = 0.3  # IoU, as in CornerNet and CenterNet


@dataclass(frozen=True)
class Targets:
    """Targets of one image of H x W pixels; s is the stride of the heatmap."""

    heatmap: np.ndarray  # (C, H / s, W / s) float32, 1 at objects; channels last in memory
    trust: np.ndarray  # (H / s, W / s) bool: False in ignored regions, whose background has no loss
    known: np.ndarray  # (C,) bool: annotated classes; others are masked and have no loss at all
    cells: np.ndarray  # (P, 2) int64 (x, y): one per object, fewer if objects share a cell
    boxes: np.ndarray  # (P, 4) float32 (dx, dy, half width, half height), in cells
    objects: int


def make_targets(truth: ImageLabels, width: int, height: int, stride: int = 1) -> Targets:
    """Make the targets of an image of width x height pixels (multiples of 4); boxes must lie inside the image.

    The box of an object is predicted at the cell that contains its centre; of two objects in one cell the later one is
    used. Background in ignored regions has no loss, but labelled objects in them have. Objects of masked classes are
    ignored regions: they have neither heat nor a box and are not counted.
    """
    truth = without_masked(truth)
    heatmap = np.zeros((height // stride, width // stride, len(truth.known)), dtype=np.float32).transpose(2, 0, 1)
    centres = (truth.boxes[:, :2] + truth.boxes[:, 2:]) / 2
    sizes = truth.boxes[:, 2:] - truth.boxes[:, :2]
    for centre, size, label in zip(centres / stride, sizes / stride, truth.labels, strict=True):
        draw_gaussian(heatmap[label], centre, gaussian_radius(width=size[0], height=size[1]))
    trust = np.ones(heatmap.shape[1:], dtype=bool)
    for x0, y0, x1, y1 in truth.ignored / stride:
        trust[max(0, math.floor(y0)) : max(0, math.ceil(y1)), max(0, math.floor(x0)) : max(0, math.ceil(x1))] = False
    cells = np.minimum(centres // BOX_STRIDE, [width // BOX_STRIDE - 1, height // BOX_STRIDE - 1]).astype(np.int64)
    boxes = np.concatenate([centres / BOX_STRIDE - cells, sizes / (2 * BOX_STRIDE)], axis=1).astype(np.float32)
    last = {(x, y): index for index, (x, y) in enumerate(cells.tolist())}
    kept = np.array(sorted(last.values()), dtype=np.int64)
    return Targets(heatmap, trust, truth.known, cells[kept], boxes[kept], len(truth.boxes))


def without_masked(truth: ImageLabels) -> ImageLabels:
    """Turn the objects of masked classes into ignored regions."""
    is_known = truth.known[truth.labels]
    if is_known.all():
        return truth
    ignored = np.concatenate([truth.ignored, truth.boxes[~is_known]])
    return ImageLabels(truth.boxes[is_known], truth.labels[is_known], ignored, truth.known)


def presence_map(truth: ImageLabels, width: int, height: int) -> np.ndarray:
    """Class-agnostic heatmap (height, width) float32 of the true objects, from which LSM finds training crops."""
    heatmap = np.zeros((height, width), dtype=np.float32)
    centres = (truth.boxes[:, :2] + truth.boxes[:, 2:]) / 2
    for centre, size in zip(centres, truth.boxes[:, 2:] - truth.boxes[:, :2], strict=True):
        draw_gaussian(heatmap, centre, gaussian_radius(width=size[0], height=size[1]))
    return heatmap


def gaussian_radius(width: float, height: float, min_overlap: float = MIN_OVERLAP) -> int:
    """Distance, in whole pixels, by which the corners of a box may move with an IoU of at least min_overlap.

    It is the minimum over three cases (CornerNet, arXiv 1808.01244, section 3.2): both corners move in the same
    direction, both inwards, or both outwards. Each case is the smaller root of a quadratic equation.
    """
    total, area = width + height, width * height
    shifted = _smaller_root(1.0, -total, area * (1 - min_overlap) / (1 + min_overlap))
    inwards = _smaller_root(4.0, -2 * total, (1 - min_overlap) * area)
    outwards = (-total + math.sqrt(total**2 + 4 * area * (1 / min_overlap - 1))) / 4
    return max(0, int(min(shifted, inwards, outwards)))


def _smaller_root(a: float, b: float, c: float) -> float:
    return (-b - math.sqrt(b * b - 4 * a * c)) / (2 * a)


def draw_gaussian(heatmap: np.ndarray, centre: np.ndarray, radius: int) -> None:
    """Draw a Gaussian of sigma (2 radius + 1) / 6, cut off at the radius, into `heatmap` (H, W) float32, in place.

    centre: (x, y) in heatmap pixels; its pixel becomes 1. Each pixel keeps the maximum of its old and new value.
    """
    rows, columns = heatmap.shape
    x, y = min(int(centre[0]), columns - 1), min(int(centre[1]), rows - 1)
    sigma = (2 * radius + 1) / 6
    x0, x1 = max(0, x - radius), min(columns, x + radius + 1)
    y0, y1 = max(0, y - radius), min(rows, y + radius + 1)
    across = np.exp(-((np.arange(x0, x1, dtype=np.float32) - x) ** 2) / (2 * sigma**2))
    down = np.exp(-((np.arange(y0, y1, dtype=np.float32) - y) ** 2) / (2 * sigma**2))
    window = heatmap[y0:y1, x0:x1]
    np.maximum(window, down[:, None] * across, out=window)
