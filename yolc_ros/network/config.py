"""Configuration of a YOLC network: backbone, widths, and the switches of the paper's ablations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class HrnetConfig:
    """HRNet: four branches at strides 4, 8, 16 and 32. The defaults are HRNet-W48."""

    kind: Literal["hrnet"] = field(default="hrnet", kw_only=True)
    stem_width: int = 64  # channels of the two strided convolutions at the input
    bottleneck_width: int = 64  # inner width of the bottleneck blocks of layer1, whose output is four times as wide
    bottleneck_blocks: int = 4
    widths: tuple[int, int, int, int] = (48, 96, 192, 384)  # channels of the branches, highest resolution first
    modules: tuple[int, int, int] = (1, 4, 3)  # exchange modules of stages 2, 3 and 4
    blocks: int = 4  # residual blocks of each branch in an exchange module

    def __post_init__(self) -> None:
        sizes = (self.stem_width, self.bottleneck_width, self.bottleneck_blocks, self.blocks)
        if min(*sizes, *self.widths, *self.modules) < 1:
            raise ValueError("widths, modules and blocks must be at least 1")


@dataclass(frozen=True)
class ResNetConfig:
    """ResNet, of the paper's ablation: maps at strides 4, 8, 16 and 32."""

    kind: Literal["resnet"] = field(default="resnet", kw_only=True)
    depth: Literal[18, 50] = 50


@dataclass(frozen=True)
class HourglassConfig:
    """Stacked hourglass, of the paper's ablation: one map at stride 4. The defaults are Hourglass-104."""

    kind: Literal["hourglass"] = field(default="hourglass", kw_only=True)
    stacks: int = 2
    widths: tuple[int, ...] = (256, 256, 384, 384, 384, 512)  # channels at strides 4, 8, 16, ...
    blocks: tuple[int, ...] = (2, 2, 2, 2, 2, 4)  # residual blocks at each of these strides

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.blocks) or len(self.widths) < 2:
            raise ValueError("widths and blocks must have the same length, at least 2")
        if min(self.stacks, *self.widths, *self.blocks) < 1:
            raise ValueError("stacks, widths and blocks must be at least 1")


BackboneConfig = HrnetConfig | ResNetConfig | HourglassConfig  # in YAML the key `kind` chooses


@dataclass(frozen=True)
class ObjectSizes:
    """The scales for which a network is good, in pixels of its input per metre on the ground.

    Measured on labelled images that are evaluated at many scales; the card of the weights says on which.
    smallest: below it a network misses objects that it finds enlarged. best: what a chosen scale aims at. largest:
    above it a network finds pieces of objects. metres: typical size of an object of each class: square root of the area
    of its box over the pixels per metre, so that the size of a box tells the pixels per metre at its place.
    """

    smallest: float
    best: float
    largest: float
    metres: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 0 < self.smallest <= self.best <= self.largest or min(self.metres, default=0) <= 0:
            raise ValueError("sizes must be positive, with smallest <= best <= largest")


@dataclass(frozen=True)
class ScoreCalibration:
    """How scores become probabilities: sigmoid(slope * logit(score) + offset), see `yolc_ros.calibration`.

    weights_sha256: of the weights file that it was fitted for; with other weights the scores stay as they are.
    """

    slope: float
    offset: float
    weights_sha256: str = ""

    def __post_init__(self) -> None:
        if not self.slope > 0:
            raise ValueError(f"the slope of a calibration must be positive, not {self.slope}")


@dataclass(frozen=True)
class YolcConfig:
    """One YOLC network (arXiv 2404.06180). The defaults are the published checkpoint's, except for `axis_order`.

    axis_order: axes of the offsets that place the sampling points of the refinement. "xy" is the paper's. "release_yx"
    swaps the axes, as the authors' code does; the published checkpoint was trained this way.
    refinement: predict a second box by a deformable convolution that samples nine points inside the first box (paper
    section III-D).
    decoupled_heatmap: heatmap at the input's resolution (paper section III-C); False: at stride 4, as in CenterNet.
    peak_share: fraction, 0 to 1, by which a box's centre is moved from the prediction of the box branch towards the
    peak in the heatmap; 0 is the paper. The peak separates small objects that share a cell of the box branch.
    spectrum: of the images that the network is for. "thermal": gray; false colours are turned into gray first.
    padding: how an image is padded to sides that are multiples of 32, see `yolc_ros.preprocessing.place`.
    mean, std: of the RGB channels, grey levels 0 to 255.
    object_sizes: the scales for which the shipped weights are good; None: unknown.
    calibration: of the scores of the shipped weights; None: they stay as the network gives them.
    """

    class_names: tuple[str, ...]
    backbone: BackboneConfig = HrnetConfig()
    neck_width: int = 384
    heatmap_width: int = 8  # channels for each class before the heatmap's last layer
    box_width: int = 96
    axis_order: Literal["xy", "release_yx"] = "xy"
    refinement: bool = True
    decoupled_heatmap: bool = True
    peak_share: float = 0.0
    spectrum: Literal["visible", "thermal"] = "visible"
    padding: Literal["plain", "release"] = "plain"
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    object_sizes: ObjectSizes | None = None
    calibration: ScoreCalibration | None = None

    def __post_init__(self) -> None:
        sizes = (self.neck_width, self.heatmap_width, self.box_width)
        if not self.class_names or min(sizes) < 1 or min(self.std) <= 0:
            raise ValueError("a network needs at least one class, widths of at least 1 and positive std")
        if self.object_sizes is not None and len(self.object_sizes.metres) != len(self.class_names):
            raise ValueError("object_sizes needs the metres of each class")
        if not 0 <= self.peak_share <= 1:
            raise ValueError(f"peak_share must lie in [0, 1], not {self.peak_share}")

    @property
    def heatmap_stride(self) -> int:
        """Input pixels per heatmap pixel."""
        return 1 if self.decoupled_heatmap else BOX_STRIDE


BOX_STRIDE = 4  # input pixels per cell of the box maps
INPUT_MULTIPLE = 32  # stride of the backbone's coarsest map
