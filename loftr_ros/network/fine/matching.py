"""Fine matching: finds the matched point of image 1 within a window around its coarse cell (section 3.4)."""

from __future__ import annotations

import math

import torch
from torch import nn

from loftr_ros.network.projection import project

VARIANCE_FLOOR = 1e-10  # on a grid from -1 to 1, of the published code; keeps the gradient of the root finite


def gather_windows(fine: torch.Tensor, b: torch.Tensor, y: torch.Tensor, x: torch.Tensor, window: int) -> torch.Tensor:
    """Cut windows out of fine maps, with zeros outside the map.

    fine: (B, H, W, D); b, y, x: (M,) int64, image and centre of each window.
    Returns (M, window, window, D).
    """
    B, H, W, D = fine.shape
    around = torch.arange(window, device=fine.device) - window // 2
    rows = (y[:, None] + around)[:, :, None]
    columns = (x[:, None] + around)[:, None, :]
    inside = (rows >= 0) & (rows < H) & (columns >= 0) & (columns < W)
    index = (b[:, None, None] * H + rows.clamp(0, H - 1)) * W + columns.clamp(0, W - 1)
    windows = fine.reshape(B * H * W, D).index_select(0, index.flatten()).reshape(*index.shape, D)
    return windows * inside[..., None]


class FinePreprocess(nn.Module):
    """Adds the coarse feature of its cell to each fine window as context."""

    def __init__(self, coarse_width: int, fine_width: int) -> None:
        super().__init__()
        self.down_proj = nn.Linear(coarse_width, fine_width)
        self.merge_feat = nn.Linear(2 * fine_width, fine_width)
        for linear in (self.down_proj, self.merge_feat):
            nn.init.kaiming_normal_(linear.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, windows: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        """Merge windows (M, w, w, D) with transformed coarse features (M, C) -> (M, w, w, D).

        merge_feat acts on [window, context]. The context is the same for all cells of a window, so its part of the
        product is computed once per window.
        """
        fine_width = windows.shape[-1]
        of_window, of_context = self.merge_feat.weight.split(fine_width, dim=1)
        context = project(project(coarse, self.down_proj.weight, self.down_proj.bias), of_context, self.merge_feat.bias)
        return project(windows, of_window) + context[:, None, None]


def log_heatmap(windows0: torch.Tensor, windows1: torch.Tensor) -> torch.Tensor:
    """Correlate the centre of each window of image 0 with the window of image 1.

    windows: (M, w, w, D). Returns the logarithm of heatmaps that sum to 1, (M, w * w) float32, row-major.
    """
    radius, width = windows1.shape[1] // 2, windows1.shape[-1]
    with torch.autocast(windows0.device.type, enabled=False):
        centre = windows0[:, radius, radius].float()
        similarity = torch.einsum("md,mrd->mr", centre, windows1.flatten(1, 2).float())
        return (similarity / width**0.5).log_softmax(1)


def expected_offset(log_heatmap: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and spread of the heatmaps whose logarithms are (M, w * w).

    Returns offset (M, 2) float32, (x, y) from the centre, and spread (M,) float32, the mean of the standard deviations
    along x and y, both in fine cells.
    """
    with torch.autocast(log_heatmap.device.type, enabled=False):
        heatmap = log_heatmap.exp()
        window = math.isqrt(heatmap.shape[1])
        radius = window // 2
        axis = torch.arange(-radius, radius + 1, device=heatmap.device, dtype=heatmap.dtype)
        grid = torch.stack([axis.repeat(window), axis.repeat_interleave(window)], dim=1)  # (w * w, 2)
        offset = heatmap @ grid
        variance = heatmap @ grid.square() - offset.square()
        spread = variance.clamp(min=VARIANCE_FLOOR * radius**2).sqrt().mean(1)
    return offset, spread


def peak_offset(log_heatmap: torch.Tensor) -> torch.Tensor:
    """Mean offset (M, 2) float32, in fine cells, over the highest cell of each heatmap (M, w * w) and its neighbours.

    The mean over the whole window would be biased towards its centre by the other cells.
    """
    with torch.autocast(log_heatmap.device.type, enabled=False):
        window = math.isqrt(log_heatmap.shape[1])
        cell = torch.arange(window * window, device=log_heatmap.device)
        peak = log_heatmap.argmax(1, keepdim=True)
        rows, columns = cell // window - peak // window, cell % window - peak % window
        is_far = torch.maximum(rows.abs(), columns.abs()) > 1
        around_peak = log_heatmap.masked_fill(is_far, -torch.inf).log_softmax(1)
        return expected_offset(around_peak)[0]
