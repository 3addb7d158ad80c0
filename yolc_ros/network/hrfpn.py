"""HRFPN: fuses the maps of the backbone into one map at stride 4 (paper section III-B)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class BiasedConv(nn.Module):
    """A convolution with bias, without norm or activation, under the key `conv` of the published checkpoint."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) -> (B, outputs, h, w)."""
        return self.conv(x)


class Hrfpn(nn.Module):
    """Upsamples all maps to the finest, concatenates them, reduces with a 1x1 and smooths with a 3x3 convolution.

    The 1x1 convolution is linear and acts on each pixel alone, so it commutes with upsampling: each map is reduced at
    its own resolution with its part of the weights. At the widths of W48 this takes an eighth of the operations.
    """

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.channels = channels
        self.width = width
        self.reduction_conv = BiasedConv(sum(channels), width, 1)
        self.fpn_convs = nn.ModuleList([BiasedConv(width, width, 3)])

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Maps (B, channels[i], h_i, w_i), finest first -> (B, width, h_0, w_0)."""
        reduction = self.reduction_conv.conv
        weights = reduction.weight.split(self.channels, dim=1)
        total = functional.conv2d(maps[0], weights[0], reduction.bias)
        for x, weight in zip(maps[1:], weights[1:], strict=True):
            y = functional.conv2d(x, weight)
            total = total + functional.interpolate(y, size=total.shape[-2:], mode="bilinear", align_corners=False)
        return self.fpn_convs[0](total)


def initialise_neck(neck: nn.Module, generator: torch.Generator | None = None) -> None:
    """Initialise by Glorot and Bengio (uniform), as the authors do for convolutions without activation."""
    for module in neck.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
