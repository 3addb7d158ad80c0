"""Deformable 3x3 convolution (v1: no modulation, no bias) at given sampling points."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

TAPS = 9


def sample_bilinear(maps: Tensor, points: Tensor) -> Tensor:
    """Bilinear interpolation with zeros outside the map.

    maps: (B, C, h, w). points: (B, p, q, 2) float32 (x, y) in cells, integers at the centres of cells.
    -> (B, C, p, q) float32, since half precision cannot represent the positions.
    """
    h, w = maps.shape[-2:]
    size = torch.cat([points.new_full((1,), side) for side in (w, h)])  # made on the device, without a copy
    grid = (2 * points + 1) / size - 1  # align_corners=False avoids 0 / 0 for maps of a single row or column
    return functional.grid_sample(maps.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)


class DeformableConv(nn.Module):
    """Sums, over nine taps, weight[tap] times the features at the sampling point of the tap."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        nn.init.normal_(self.weight, std=0.01)

    def forward(self, features: Tensor, points: Tensor) -> Tensor:
        """Convolve at every cell.

        features: (B, inputs, h, w). points: (B, 9, h, w, 2) cells (x, y). -> (B, outputs, h, w) float32.
        Sampling and the product with the weights commute. The product has only `outputs` channels per tap, so sampling
        it instead of the features gives the same result with a fraction of the memory.
        """
        outputs, inputs = self.weight.shape[:2]
        batch, _, h, w = features.shape
        kernel = self.weight.permute(2, 3, 0, 1).reshape(TAPS * outputs, inputs, 1, 1)
        products = functional.conv2d(features, kernel).reshape(batch * TAPS, outputs, h, w)
        sampled = sample_bilinear(products, points.reshape(batch * TAPS, h, w, 2))
        return sampled.reshape(batch, TAPS, outputs, h, w).sum(1)

    def at(self, features: Tensor, points: Tensor) -> Tensor:
        """Convolve at N places of one image: features (inputs, h, w), points (N, 9, 2) cells (x, y) -> (N, outputs)."""
        sampled = sample_bilinear(features[None], points[None])[0]  # (inputs, N, 9)
        return torch.einsum("int,oit->no", sampled, self.weight.flatten(2).float())
