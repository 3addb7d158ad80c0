"""From the network's maps to scored boxes: blur, peaks, boxes at the peaks, suppression of doubles.

The heatmap at the input's resolution is large (84 MB for ten classes at 1920 x 1080) and almost everywhere far below
any threshold, so it is read in tiles, and only in those that can hold a peak.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from yolc_ros.network.config import BOX_STRIDE

BLUR_TAPS = (0.27406862, 0.45186276, 0.27406862)  # Gaussian, sigma 1 pixel, cut to three taps and normalised
_TILE = 16  # heatmap pixels; one more on each side for the blur, and one for the comparison of neighbours
_HALO = 2
_NMS_BLOCK = 256  # rows of the IoU matrix that exist at a time
_TILES_AT_ONCE = 8192  # bounds the memory when the whole map is above the threshold


@dataclass(frozen=True)
class Peaks:
    """Local maxima of a blurred heatmap, the highest first."""

    scores: Tensor  # (N,) float32
    labels: Tensor  # (N,) int64, class
    positions: Tensor  # (N, 2) int64 (x, y), heatmap pixels


@dataclass(frozen=True)
class HeatmapReading:
    """What one image's heatmap says."""

    peaks: Peaks
    present: Tensor  # (H, W) bool: some class, blurred, reaches the presence threshold


@dataclass(frozen=True)
class ScoredBoxes:
    """Boxes with a score and a class."""

    boxes: np.ndarray  # (N, 4) float32 xyxy
    scores: np.ndarray  # (N,) float32
    labels: np.ndarray  # (N,) int64

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, index: np.ndarray) -> ScoredBoxes:
        """Pick by a mask or by indices."""
        return ScoredBoxes(self.boxes[index], self.scores[index], self.labels[index])


def concatenate(parts: Sequence[ScoredBoxes]) -> ScoredBoxes:
    """Put several sets of boxes behind each other; none gives an empty set."""
    return ScoredBoxes(
        np.concatenate([np.zeros((0, 4), np.float32), *(part.boxes for part in parts)]),
        np.concatenate([np.zeros(0, np.float32), *(part.scores for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(part.labels for part in parts)]),
    )


def blur(heatmap: Tensor) -> Tensor:
    """3x3 Gaussian blur of (..., H, W), sides of at least 2, mirrored at its edges (which are not repeated)."""
    batch = heatmap.reshape(-1, 1, *heatmap.shape[-2:])
    padded = functional.pad(batch, (1, 1, 1, 1), mode="reflect").squeeze(1)
    return _blur_inside(padded).reshape(heatmap.shape)


def read_heatmap(logits: Tensor, threshold: float, limit: int, presence: float) -> HeatmapReading:
    """Find peaks and presence in one image's heatmap.

    logits: (C, H, W), sides of at least 4. threshold: smallest score of a peak. limit: most peaks, over all classes.
    presence: probability from which a pixel counts as holding an object. Everything is computed in float32 on the
    blurred probabilities; a peak is a pixel that none of its eight neighbours exceeds. Equal scores keep the order of
    class, row and column.
    """
    height, width = logits.shape[1:]
    present = torch.zeros(height * width, dtype=torch.bool, device=logits.device)
    found_scores, found_indices = [logits.new_zeros(0, dtype=torch.float32)], [present.new_zeros(0, dtype=torch.int64)]
    for tiles in _promising_tiles(logits, min(threshold, presence)).split(_TILES_AT_ONCE):
        values, indices, inside = _blurred_tiles(logits, tiles)  # (n, 18, 18), (n, 16, 16), (n, 16, 16)
        centre = values[:, 1:-1, 1:-1]
        present[indices[inside & (centre >= presence)] % (height * width)] = True
        is_peak = inside & (centre >= threshold) & (centre == _neighbourhood_maximum(values))
        found_scores.append(centre[is_peak])
        found_indices.append(indices[is_peak])
    scores, indices = _best(torch.cat(found_scores), torch.cat(found_indices), limit)
    labels, pixel = indices // (height * width), indices % (height * width)
    peaks = Peaks(scores, labels, torch.stack([pixel % width, pixel // width], dim=1))
    return HeatmapReading(peaks, present.reshape(height, width))


def cells_of(peaks: Peaks, heatmap_stride: int) -> Tensor:
    """Cells (N, 2) int64 (x, y) of the box maps that predict the peaks' boxes."""
    return peaks.positions * heatmap_stride // BOX_STRIDE


def decode_boxes(boxes: Tensor, cells: Tensor) -> Tensor:
    """Network boxes (N, 4) (dx, dy, half width, half height) of `cells` (N, 2) -> (N, 4) xyxy in input pixels, float32.

    A negative size, which the network can say, becomes 0.
    """
    centre = cells + boxes[:, :2].float()
    half = boxes[:, 2:].float().clamp(min=0)
    return BOX_STRIDE * torch.cat([centre - half, centre + half], dim=1)


def move_to_peaks(boxes: Tensor, peaks: Peaks, heatmap_stride: int, share: float) -> Tensor:
    """Move boxes (N, 4) xyxy, input pixels, so that `share` of the way from their centres to their peaks is gone.

    A peak lies in the middle of its heatmap pixel.
    """
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    way = share * ((peaks.positions + 0.5) * heatmap_stride - centres)
    return boxes + way.repeat(1, 2)


def suppress_doubles(found: ScoredBoxes, max_iou: float) -> np.ndarray:
    """Non-maximum suppression within each class -> indices of the survivors, best first.

    A box is dropped when its IoU with a better surviving one of its class exceeds `max_iou`.
    """
    order = np.argsort(-found.scores, kind="stable")
    survives = np.zeros(len(found), dtype=bool)
    for label in np.unique(found.labels):
        members = order[found.labels[order] == label]
        survives[members[_greedy(found.boxes[members], max_iou)]] = True
    return order[survives[order]]


def _greedy(boxes: np.ndarray, max_iou: float) -> np.ndarray:
    """Indices of the boxes (N, 4), given best first, that overlap no better survivor too much."""
    kept: list[np.ndarray] = [np.zeros(0, np.int64)]
    areas = box_areas(boxes)
    waiting = np.arange(len(boxes))
    while len(waiting):
        head, rest = waiting[:_NMS_BLOCK], waiting[_NMS_BLOCK:]
        shared = pairwise_intersection(boxes[head], boxes[waiting])
        union = areas[head, None] + areas[waiting] - shared
        overlaps = (shared > max_iou * union) & (shared > 0)
        gone = np.zeros(len(waiting), dtype=bool)
        survivors = []
        for row in range(len(head)):
            if not gone[row]:
                survivors.append(row)
                gone |= overlaps[row]
        kept.append(head[survivors])
        waiting = rest[~gone[_NMS_BLOCK:]]
    return np.concatenate(kept)


def pairwise_intersection(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Shared areas (N, M) of boxes (N, 4) and others (M, 4), xyxy."""
    width = _shared_length(boxes[:, 0], boxes[:, 2], others[:, 0], others[:, 2])
    height = _shared_length(boxes[:, 1], boxes[:, 3], others[:, 1], others[:, 3])
    return np.asarray(width * height)


def _shared_length(low: np.ndarray, high: np.ndarray, other_low: np.ndarray, other_high: np.ndarray) -> np.ndarray:
    """Length (N, M) that intervals have in common, 0 for disjoint ones."""
    length = np.minimum(high[:, None], other_high) - np.maximum(low[:, None], other_low)
    return np.maximum(length, 0, out=length)


def box_areas(boxes: np.ndarray) -> np.ndarray:
    """Areas (N,) of boxes (N, 4) xyxy; 0 where a side is negative."""
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(axis=1))


def _promising_tiles(logits: Tensor, threshold: float) -> Tensor:
    """(n, 3) int64 (class, tile row, tile column) of the tiles in which a blurred value can reach `threshold`.

    A blurred value is a mean over 3x3 pixels, so one of those reaches the threshold; it can lie one pixel outside.
    """
    odds = max(threshold, 1e-12) / max(1 - threshold, 1e-6)
    level = math.log(odds) - 1e-2 if threshold > 0 else -math.inf  # with room for rounding
    batch = logits.permute(1, 2, 0)[None].permute(
        0, 3, 1, 2
    )  # strides of a batch: channels last is seen and not copied
    highest = functional.max_pool2d(batch, _TILE + 2, _TILE, 1, ceil_mode=True)[0]
    rows, columns = -(-logits.shape[1] // _TILE), -(-logits.shape[2] // _TILE)
    return (highest[:, :rows, :columns].float() >= level).nonzero()


def _blurred_tiles(logits: Tensor, tiles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Blurred probabilities of tiles with one pixel around them, and where the tiles' pixels lie.

    -> values (n, 18, 18) float32, flat indices into logits (n, 16, 16), and which of those are inside the map.
    """
    height, width = logits.shape[1:]
    span = torch.arange(-_HALO, _TILE + _HALO, device=logits.device)
    ys = tiles[:, 1, None] * _TILE + span
    xs = tiles[:, 2, None] * _TILE + span
    label = tiles[:, 0, None, None]
    values = logits[label, _mirror(ys, height)[:, :, None], _mirror(xs, width)[:, None, :]].float().sigmoid()
    ys, xs = ys[:, _HALO:-_HALO, None], xs[:, None, _HALO:-_HALO]
    return _blur_inside(values), (label * height + ys) * width + xs, (ys < height) & (xs < width)


def _mirror(index: Tensor, size: int) -> Tensor:
    """Reflect indices at 0 and size - 1. The mirrored neighbours of an edge pixel repeat ones that it has inside."""
    last = size - 1
    return (last - (last - index.abs()).abs()).clamp(min=0)


def _blur_inside(values: Tensor) -> Tensor:
    """Separable 3x3 blur of (n, h, w) -> (n, h - 2, w - 2)."""
    side, middle, _ = BLUR_TAPS
    rows = side * (values[:, :-2] + values[:, 2:]) + middle * values[:, 1:-1]
    return side * (rows[..., :-2] + rows[..., 2:]) + middle * rows[..., 1:-1]


def _neighbourhood_maximum(values: Tensor) -> Tensor:
    """Maximum over 3x3 of (n, h, w) -> (n, h - 2, w - 2)."""
    rows = torch.maximum(torch.maximum(values[:, :-2], values[:, 2:]), values[:, 1:-1])
    return torch.maximum(torch.maximum(rows[..., :-2], rows[..., 2:]), rows[..., 1:-1])


def _best(scores: Tensor, indices: Tensor, limit: int) -> tuple[Tensor, Tensor]:
    """The `limit` highest scores, highest first, equal ones by ascending index."""
    by_index = indices.argsort()
    scores, indices = scores[by_index], indices[by_index]
    best = scores.argsort(descending=True, stable=True)[:limit]
    return scores[best], indices[best]
