"""Hourglass-104 (CornerNet, arXiv 1808.01244, section 3.5), a backbone of the paper's ablation: one map at stride 4."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from yolc_ros.network.backbones.layers import conv_norm
from yolc_ros.network.backbones.resnet import ResidualBlock, basic_block
from yolc_ros.network.config import HourglassConfig


def residuals(inputs: int, outputs: int, count: int, stride: int = 1) -> nn.Sequential:
    """Build `count` residual blocks; the first one changes width and stride."""
    return nn.Sequential(
        basic_block(inputs, outputs, stride), *(basic_block(outputs, outputs, 1) for _ in range(count - 1))
    )


class Hourglass(nn.Module):
    """Encoder and decoder over len(widths) resolutions, with residual blocks on the skip connection of each."""

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...]) -> None:
        super().__init__()
        self.shortcut = residuals(widths[0], widths[0], blocks[0])
        self.down = residuals(widths[0], widths[1], blocks[0], stride=2)
        is_innermost = len(widths) == 2
        self.inner = residuals(widths[1], widths[1], blocks[1]) if is_innermost else Hourglass(widths[1:], blocks[1:])
        self.up = nn.Sequential(
            *(basic_block(widths[1], widths[1], 1) for _ in range(blocks[0] - 1)), basic_block(widths[1], widths[0], 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, widths[0], h, w) -> the same shape; any h and w of at least 2 ** (len(widths) - 1)."""
        deep = self.up(self.inner(self.down(x)))
        return self.shortcut(x) + functional.interpolate(deep, size=x.shape[-2:])


class StackedHourglass(nn.Module):
    """Backbone: image -> one map at stride 4.

    Every hourglass after the first gets the input and the output of the previous one. CornerNet trains a head on each
    hourglass; here only the last output is used.
    """

    strides = (4,)

    def __init__(self, config: HourglassConfig) -> None:
        super().__init__()
        width = config.widths[0]
        self.channels: tuple[int, ...] = (width,)
        self.stem = nn.Sequential(conv_norm(3, width // 2, 7, stride=2), basic_block(width // 2, width, 2))
        self.hourglasses = nn.ModuleList(Hourglass(config.widths, config.blocks) for _ in range(config.stacks))
        self.outputs = nn.ModuleList(conv_norm(width, width, 3) for _ in range(config.stacks))
        self.merges = nn.ModuleList(_Merge(width) for _ in range(config.stacks - 1))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) normalised, sides multiples of 32 -> one map (B, channels[0], H / 4, W / 4)."""
        x = self.stem(images)
        y = self.outputs[0](self.hourglasses[0](x))
        for index, merge in enumerate(self.merges, start=1):
            x = merge(x, y)
            y = self.outputs[index](self.hourglasses[index](x))
        return (y,)


class _Merge(nn.Module):
    """Merges input and output of one hourglass into the input of the next."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.from_input = conv_norm(width, width, 1, relu=False)
        self.from_output = conv_norm(width, width, 1, relu=False)
        self.block: ResidualBlock = basic_block(width, width, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Input x and output y, each (B, width, h, w) -> (B, width, h, w)."""
        return self.block(functional.relu(self.from_input(x) + self.from_output(y), inplace=True))
