"""HRNet: parallel branches at four resolutions that exchange features repeatedly (arXiv 1908.07919)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from yolc_ros.network.backbones.layers import conv, conv_norm
from yolc_ros.network.config import HrnetConfig


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = conv(width, width, 3)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, h, w) -> the same."""
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return functional.relu(y + x, inplace=True)


class Bottleneck(nn.Module):
    """Residual block of a 1x1, a 3x3 and a 1x1 convolution; its output has 4 * width channels."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1 = conv(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv(width, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = nn.Identity() if inputs == outputs else conv_norm(inputs, outputs, 1, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) -> (B, 4 * width, h, w)."""
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = functional.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return functional.relu(y + self.downsample(x), inplace=True)


def fuse_path(widths: tuple[int, ...], target: int, source: int) -> nn.Module:
    """Layers from branch `source` to `target`: a 1x1 convolution to a finer, strided 3x3 ones to a coarser branch."""
    if source == target:
        return nn.Identity()
    if source > target:
        return conv_norm(widths[source], widths[target], 1, relu=False)
    steps = target - source
    return nn.Sequential(
        *(conv_norm(widths[source], widths[source], 3, stride=2) for _ in range(steps - 1)),
        conv_norm(widths[source], widths[target], 3, stride=2, relu=False),
    )


class ExchangeModule(nn.Module):
    """Residual blocks on every branch; then each branch becomes the sum of all branches at its resolution."""

    def __init__(self, widths: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(BasicBlock(w) for _ in range(blocks))) for w in widths)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(fuse_path(widths, target, source) for source in range(len(widths)))
            for target in range(len(widths))
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps (B, widths[i], h / 2**i, w / 2**i) -> maps of the same shapes."""
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        return [self._fuse(paths, maps, target) for target, paths in enumerate(self.fuse_layers)]

    @staticmethod
    def _fuse(paths: nn.Module, maps: list[Tensor], target: int) -> Tensor:
        total = maps[target]
        for source, path in enumerate(paths.children()):
            if source != target:
                y = path(maps[source])
                total = total + (
                    functional.interpolate(y, scale_factor=2 ** (source - target)) if source > target else y
                )
        return functional.relu(total)


class Hrnet(nn.Module):
    """Backbone: image -> maps at strides 4, 8, 16 and 32 (`strides`) with `channels` channels each."""

    strides = (4, 8, 16, 32)

    def __init__(self, config: HrnetConfig) -> None:
        super().__init__()
        self.channels: tuple[int, ...] = config.widths
        stem, outputs = config.stem_width, 4 * config.bottleneck_width
        self.conv1 = conv(3, stem, 3, stride=2)
        self.bn1 = nn.BatchNorm2d(stem)
        self.conv2 = conv(stem, stem, 3, stride=2)
        self.bn2 = nn.BatchNorm2d(stem)
        self.layer1 = nn.Sequential(
            *(Bottleneck(outputs if i else stem, config.bottleneck_width) for i in range(config.bottleneck_blocks))
        )
        widths = config.widths
        first = nn.Identity() if outputs == widths[0] else conv_norm(outputs, widths[0], 3)
        self.transition1 = nn.ModuleList([first, _new_branch(outputs, widths[1])])
        self.stage2 = _stage(widths[:2], config.modules[0], config.blocks)
        self.transition2 = nn.ModuleList([nn.Identity(), nn.Identity(), _new_branch(widths[1], widths[2])])
        self.stage3 = _stage(widths[:3], config.modules[1], config.blocks)
        self.transition3 = nn.ModuleList(
            [nn.Identity(), nn.Identity(), nn.Identity(), _new_branch(widths[2], widths[3])]
        )
        self.stage4 = _stage(widths, config.modules[2], config.blocks)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) normalised, sides multiples of 32 -> (B, channels[i], H / strides[i], W / strides[i])."""
        x = functional.relu(self.bn1(self.conv1(images)), inplace=True)
        x = functional.relu(self.bn2(self.conv2(x)), inplace=True)
        maps = [self.layer1(x)]
        maps = self.stage2(_open_branch(self.transition1, maps))
        maps = self.stage3(_open_branch(self.transition2, maps))
        maps = self.stage4(_open_branch(self.transition3, maps))
        return tuple(maps)


def _stage(widths: tuple[int, ...], modules: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(ExchangeModule(widths, blocks) for _ in range(modules)))


def _new_branch(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(conv_norm(inputs, outputs, 3, stride=2))


def _open_branch(transition: nn.ModuleList, maps: list[Tensor]) -> list[Tensor]:
    """Apply a transition; the new branch, at half the resolution, starts from the coarsest map."""
    return [step(x) for step, x in zip(transition, [*maps, maps[-1]], strict=True)]
