"""ResNet-FPN: computes a coarse and a fine feature map of an image (section 3.1)."""

from __future__ import annotations

import torch
from torch import nn

from loftr_ros.network.config import BackboneConfig
from loftr_ros.network.projection import project


def _convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)


class PointwiseConvolution(nn.Conv2d):
    """A 1x1 convolution without bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, inputs, h, w) to (B, outputs, h, w)."""
        if torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad):
            return super().forward(x)
        return project(x.permute(0, 2, 3, 1), self.weight.flatten(1)).permute(0, 3, 1, 2)


class ResidualBlock(nn.Module):
    """Residual block of two 3x3 convolutions; the shortcut is a 1x1 convolution where the stride is above 1."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _convolution(inputs, outputs, 3, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = _convolution(outputs, outputs, 3)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1:
            self.downsample = nn.Sequential(_convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, inputs, h, w) to (B, outputs, ceil(h / stride), ceil(w / stride))."""
        y = nn.functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        y += self.downsample(x)
        return nn.functional.relu(y, inplace=True)


class ResNetFPN(nn.Module):
    """Bottom-up residual levels at strides 2, 4, ... and a top-down path from the last level to the fine level."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        widths = config.widths
        self.levels = len(widths)
        self.fine_level = config.fine_level
        self.conv1 = _convolution(1, widths[0], 7, 2)
        self.bn1 = nn.BatchNorm2d(widths[0])
        inputs = widths[0]
        for level, width in enumerate(widths, start=1):
            blocks = (ResidualBlock(inputs, width, 1 if level == 1 else 2), ResidualBlock(width, width, 1))
            self.add_module(f"layer{level}", nn.Sequential(*blocks))
            inputs = width
        self.add_module(f"layer{self.levels}_outconv", PointwiseConvolution(widths[-1], widths[-1]))
        for level in range(self.levels - 1, self.fine_level - 1, -1):
            width, above = widths[level - 1], widths[level]
            self.add_module(f"layer{level}_outconv", PointwiseConvolution(width, above))
            head = (
                _convolution(above, above, 3),
                nn.BatchNorm2d(above),
                nn.LeakyReLU(inplace=True),
                _convolution(above, width, 3),
            )
            self.add_module(f"layer{level}_outconv2", nn.Sequential(*head))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the maps of images of any size.

        images: (B, 1, H, W), gray, 0 to 1.
        Returns coarse (B, C, ceil(H / coarse_stride), ...) and fine (B, D, ceil(H / fine_stride), ...). Kernels are
        centred, so cell (x, y) of a map is centred on pixel (stride x, stride y), with pixel centres at integers.
        """
        x = nn.functional.relu(self.bn1(self.conv1(images)), inplace=True)
        levels = []
        for level in range(1, self.levels + 1):
            x = self.get_submodule(f"layer{level}")(x)
            levels.append(x)
        coarse = self.get_submodule(f"layer{self.levels}_outconv")(levels.pop())
        fine = coarse
        for level in range(self.levels - 1, self.fine_level - 1, -1):
            fine = self.get_submodule(f"layer{level}_outconv2")(self._add_levels(level, levels.pop(), fine))
        return coarse, fine

    def _add_levels(self, level: int, bottom_up: torch.Tensor, top_down: torch.Tensor) -> torch.Tensor:
        """Add the upsampled map of the level above. A separate function, so that the summands are freed on return."""
        lateral = self.get_submodule(f"layer{level}_outconv")(bottom_up)
        above = nn.functional.interpolate(top_down, scale_factor=2.0, mode="bilinear", align_corners=True)
        # A level of odd size is one cell smaller than twice the level above.
        lateral += above[..., : lateral.shape[-2], : lateral.shape[-1]]
        return lateral
