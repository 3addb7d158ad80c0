"""ResNet (arXiv 1512.03385), a backbone of the paper's ablation: maps at strides 4, 8, 16 and 32."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from yolc_ros.network.backbones.layers import conv, conv_norm
from yolc_ros.network.config import ResNetConfig

_STAGE_BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
_WIDTHS = (64, 128, 256, 512)


class ResidualBlock(nn.Module):
    """Residual block; its shortcut is a 1x1 convolution where width or stride change.

    layers: of `conv_norm`, the last one without ReLU.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers
        is_same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if is_same else conv_norm(inputs, outputs, 1, stride, relu=False)

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """Batch normalisation before the sum with the shortcut."""
        return [module for module in self.layers.modules() if isinstance(module, nn.BatchNorm2d)][-1]

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) -> (B, outputs, h / stride, w / stride)."""
        return functional.relu(self.layers(x) + self.shortcut(x), inplace=True)


def basic_block(inputs: int, width: int, stride: int) -> ResidualBlock:
    """Two 3x3 convolutions, the first with the stride (ResNet-18)."""
    layers = nn.Sequential(conv_norm(inputs, width, 3, stride), conv_norm(width, width, 3, relu=False))
    return ResidualBlock(inputs, width, stride, layers)


def bottleneck_block(inputs: int, width: int, stride: int) -> ResidualBlock:
    """1x1, 3x3 (with the stride) and 1x1 convolution, 4 * width output channels (ResNet-50)."""
    layers = nn.Sequential(
        conv_norm(inputs, width, 1), conv_norm(width, width, 3, stride), conv_norm(width, 4 * width, 1, relu=False)
    )
    return ResidualBlock(inputs, 4 * width, stride, layers)


class ResNet(nn.Module):
    """Backbone: image -> maps at strides 4, 8, 16 and 32 (`strides`) with `channels` channels each."""

    strides = (4, 8, 16, 32)

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        block, expansion = (basic_block, 1) if config.depth == 18 else (bottleneck_block, 4)
        self.channels = tuple(expansion * width for width in _WIDTHS)
        self.conv1 = conv(3, 64, 7, stride=2)
        self.bn1 = nn.BatchNorm2d(64)
        stages, inputs = [], 64
        for index, (width, blocks) in enumerate(zip(_WIDTHS, _STAGE_BLOCKS[config.depth], strict=True)):
            layers = []
            for number in range(blocks):
                layers.append(block(inputs, width, 2 if index and not number else 1))
                inputs = expansion * width
            stages.append(nn.Sequential(*layers))
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) normalised, sides multiples of 32 -> (B, channels[i], H / strides[i], W / strides[i])."""
        x = functional.relu(self.bn1(self.conv1(images)), inplace=True)
        x = functional.max_pool2d(x, 3, stride=2, padding=1)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps)
