"""From the network's maps to peaks and boxes: blur, local maxima, and the boxes of the cells that hold them.

The heatmap at the input's resolution is large (84 MB for ten classes at 1920 x 1080) and mostly far below any
threshold. It is read in tiles, and only in the tiles that can hold a peak.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from perception_common.backends.finite import all_finite
from yolc_ros.network.config import BOX_STRIDE

BLUR_TAPS = (0.27406862, 0.45186276, 0.27406862)  # Gaussian, sigma 1 pixel, cut to three taps and normalised
_TILE = 16  # heatmap pixels; empirical
_HALO = 2  # heatmap pixels around a tile: one for the blur, one for the comparison with neighbours
_TILES_AT_ONCE = 8192  # bounds the memory if the whole map is above the threshold; empirical


@dataclass(frozen=True)
class Peaks:
    """Local maxima of a blurred heatmap, highest first."""

    scores: Tensor  # (N,) float32
    labels: Tensor  # (N,) int64, class
    positions: Tensor  # (N, 2) int64 (x, y), heatmap pixels


@dataclass(frozen=True)
class HeatmapReading:
    """Peaks and presence mask of one image's heatmap."""

    peaks: Peaks
    present: Tensor  # (H, W) bool: the blurred probability of some class reaches the presence threshold
    is_finite: Tensor  # () bool: the heatmap held no NaN; peaks and presence mean nothing otherwise


def blur(heatmap: Tensor) -> Tensor:
    """3x3 Gaussian blur of (..., H, W), H and W at least 2, with reflection at the border."""
    batch = heatmap.reshape(-1, 1, *heatmap.shape[-2:])
    padded = functional.pad(batch, (1, 1, 1, 1), mode="reflect").squeeze(1)
    return _blur_interior(padded).reshape(heatmap.shape)


def read_heatmap(logits: Tensor, threshold: float, limit: int, presence: float) -> HeatmapReading:
    """Find peaks and presence in one image's heatmap.

    logits: (C, H, W), H and W at least 4. threshold: minimum score of a peak. limit: maximum number of peaks over all
    classes. presence: probability from which a pixel counts as occupied by an object; 1: none does. All is computed in
    float32 on the blurred probabilities. A peak is a pixel that none of its eight neighbours exceeds. Peaks with equal
    scores are in the order of class, row and column. A GPU is waited for twice: for the number of tiles and of peaks.
    """
    height, width = logits.shape[1:]
    present = torch.zeros(height * width + 1, dtype=torch.bool, device=logits.device)  # the last one is for no pixel
    found_scores, found_indices = [logits.new_zeros(0, dtype=torch.float32)], [present.new_zeros(0, dtype=torch.int64)]
    tiles_with_peaks, is_finite = _promising_tiles(logits, min(threshold, presence))
    for tiles in tiles_with_peaks.split(_TILES_AT_ONCE):
        values, indices, inside = _blurred_tiles(logits, tiles)  # (n, 18, 18), (n, 16, 16), (n, 16, 16)
        centre = values[:, 1:-1, 1:-1]
        if presence < 1:
            pixel = torch.where(inside & (centre >= presence), indices % (height * width), height * width)
            present.index_fill_(0, pixel.flatten(), True)
        is_peak = inside & (centre >= threshold) & (centre == _neighbourhood_maximum(values))
        at = is_peak.nonzero(as_tuple=True)
        found_scores.append(centre[at])
        found_indices.append(indices[at])
    scores, indices = _best(torch.cat(found_scores), torch.cat(found_indices), limit)
    labels, pixel = indices // (height * width), indices % (height * width)
    peaks = Peaks(scores, labels, torch.stack([pixel % width, pixel // width], dim=1))
    return HeatmapReading(peaks, present[:-1].reshape(height, width), is_finite)


def cells_of(peaks: Peaks, heatmap_stride: int) -> Tensor:
    """Cells (N, 2) int64 (x, y) of the box maps that contain the peaks."""
    return peaks.positions * heatmap_stride // BOX_STRIDE


def decode_boxes(boxes: Tensor, cells: Tensor) -> Tensor:
    """Boxes (N, 4) (dx, dy, half width, half height) predicted at `cells` (N, 2) -> (N, 4) float32 xyxy, input pixels.

    Negative sizes, which the network can predict, become 0.
    """
    centre = cells + boxes[:, :2].float()
    half = boxes[:, 2:].float().clamp(min=0)
    return BOX_STRIDE * torch.cat([centre - half, centre + half], dim=1)


def move_to_peaks(boxes: Tensor, peaks: Peaks, heatmap_stride: int, share: float) -> Tensor:
    """Move the centres of boxes (N, 4) xyxy, input pixels, by the fraction `share` of their offset to their peaks.

    The position of a peak is the middle of its heatmap pixel.
    """
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    shift = share * ((peaks.positions + 0.5) * heatmap_stride - centres)
    return boxes + shift.repeat(1, 2)


def _promising_tiles(logits: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """(n, 3) int64 (class, tile row, tile column) of the tiles in which a blurred value can reach `threshold`.

    Also returns whether the maxima of all tiles are finite, () bool; a NaN in a tile is its maximum.

    A blurred value is a weighted mean over 3x3 pixels, so one of these pixels must reach the threshold. It can lie one
    pixel outside the tile.
    """
    odds = max(threshold, 1e-12) / max(1 - threshold, 1e-6)
    level = math.log(odds) - 1e-2 if threshold > 0 else -math.inf  # margin for rounding
    # Give the map the strides of a channels-last batch, so that pooling does not copy it.
    batch = logits.permute(1, 2, 0)[None].permute(0, 3, 1, 2)
    highest = functional.max_pool2d(batch, _TILE + 2, _TILE, 1, ceil_mode=True)[0]
    rows, columns = -(-logits.shape[1] // _TILE), -(-logits.shape[2] // _TILE)
    highest = highest[:, :rows, :columns].float()
    return (highest >= level).nonzero(), all_finite(highest)


def _blurred_tiles(logits: Tensor, tiles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Blur the probabilities of tiles (n, 3).

    -> values (n, 18, 18) float32 with one pixel around each tile, flat indices (n, 16, 16) of the tiles' pixels into
    logits, and a mask (n, 16, 16) of the pixels inside the map.
    """
    height, width = logits.shape[1:]
    span = torch.arange(-_HALO, _TILE + _HALO, device=logits.device)
    ys = tiles[:, 1, None] * _TILE + span
    xs = tiles[:, 2, None] * _TILE + span
    label = tiles[:, 0, None, None]
    rows, columns = _reflect(ys, height)[:, :, None], _reflect(xs, width)[:, None, :]
    values = logits[label, rows, columns].float().sigmoid()
    ys, xs = ys[:, _HALO:-_HALO, None], xs[:, None, _HALO:-_HALO]
    return _blur_interior(values), (label * height + ys) * width + xs, (ys < height) & (xs < width)


def _reflect(index: Tensor, size: int) -> Tensor:
    """Reflect indices at 0 and size - 1. The reflected neighbours of a border pixel equal neighbours inside the map."""
    last = size - 1
    return (last - (last - index.abs()).abs()).clamp(min=0)


def _blur_interior(values: Tensor) -> Tensor:
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
