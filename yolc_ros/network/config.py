"""What varies between the YOLC networks: widths, depths and the switches of the paper's ablations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class HrnetConfig:
    """High-resolution backbone: four branches at strides 4, 8, 16 and 32."""

    stem_width: int = 64  # channels of the two strided convolutions at the input
    bottleneck_width: int = 64  # layer1 works at this width and hands on four times as many channels
    bottleneck_blocks: int = 4
    widths: tuple[int, int, int, int] = (48, 96, 192, 384)  # channels of the branches, highest resolution first
    modules: tuple[int, int, int] = (1, 4, 3)  # times that stages 2, 3 and 4 exchange between their branches
    blocks: int = 4  # residual blocks of a branch between two exchanges

    def __post_init__(self) -> None:
        sizes = (self.stem_width, self.bottleneck_width, self.bottleneck_blocks, self.blocks)
        if min(*sizes, *self.widths, *self.modules) < 1:
            raise ValueError("widths, modules and blocks must be at least 1")


@dataclass(frozen=True)
class ResnetConfig:
    """Backbone of the paper's ablation: maps at strides 4, 8, 16 and 32."""

    depth: Literal[18, 50] = 50


@dataclass(frozen=True)
class HourglassConfig:
    """Backbone of the paper's ablation, one map at stride 4; the defaults are Hourglass-104."""

    stacks: int = 2
    widths: tuple[int, ...] = (256, 256, 384, 384, 384, 512)  # channels at stride 4, 8 and so on
    blocks: tuple[int, ...] = (2, 2, 2, 2, 2, 4)  # residual blocks at each of them

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.blocks) or len(self.widths) < 2:
            raise ValueError("widths and blocks must have the same length, at least 2")
        if min(self.stacks, *self.widths, *self.blocks) < 1:
            raise ValueError("stacks, widths and blocks must be at least 1")


@dataclass(frozen=True)
class YolcConfig:
    """One YOLC network (arXiv 2404.06180); the defaults are the published checkpoint's, save for `axis_order`.

    resnet, hourglass: at most one, in place of HRNet.
    axis_order: which way the refinement reads the offsets of its sampling points. "xy" is the paper's meaning;
    "release_yx" exchanges the two axes, as the authors' code does: their checkpoint was trained like that.
    refinement: predict a second box from nine points sampled inside the first (paper section III-D).
    decoupled_heatmap: the heatmap has the input's resolution (paper section III-C); without it stride 4, as CenterNet.
    peak_share: how far, from 0 to 1, a box's centre is moved from where the box branch puts it to the peak of the
    heatmap that it belongs to. 0 is the paper. The peak tells small objects apart that share a cell of the box branch.
    padding: where an image lies in an input whose sides are multiples of 32, see `yolc_ros.preprocessing`.
    mean, std: of the RGB channels, in grey levels of 0 to 255.
    """

    class_names: tuple[str, ...]
    backbone: HrnetConfig = HrnetConfig()
    resnet: ResnetConfig | None = None
    hourglass: HourglassConfig | None = None
    neck_width: int = 384
    heatmap_width: int = 8  # channels for each class in front of the heatmap
    box_width: int = 96
    axis_order: Literal["xy", "release_yx"] = "xy"
    refinement: bool = True
    decoupled_heatmap: bool = True
    peak_share: float = 0.0
    padding: Literal["plain", "release"] = "plain"
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)

    def __post_init__(self) -> None:
        sizes = (self.neck_width, self.heatmap_width, self.box_width)
        if not self.class_names or min(sizes) < 1 or min(self.std) <= 0:
            raise ValueError("a network needs at least one class, widths of at least 1 and positive std")
        if not 0 <= self.peak_share <= 1:
            raise ValueError(f"peak_share must lie in [0, 1], not {self.peak_share}")
        chosen = [self.resnet, self.hourglass, None if self.backbone == HrnetConfig() else self.backbone]
        if sum(backbone is not None for backbone in chosen) > 1:
            raise ValueError("give only one of backbone, resnet and hourglass")

    @property
    def heatmap_stride(self) -> int:
        """Input pixels for each heatmap pixel."""
        return 1 if self.decoupled_heatmap else BOX_STRIDE


BOX_STRIDE = 4  # input pixels for each cell of the box maps
INPUT_MULTIPLE = 32  # the coarsest branch has stride 32
