"""Layers that all backbones share."""

from __future__ import annotations

from torch import nn


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Convolution without bias, padded by kernel // 2; batch normalisation must follow."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1, relu: bool = True) -> nn.Sequential:
    """Convolution, batch normalisation and, with `relu`, ReLU."""
    layers: list[nn.Module] = [conv(inputs, outputs, kernel, stride), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)
