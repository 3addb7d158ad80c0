"""Configuration of a LoFTR network: widths, strides and variants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class BackboneConfig:
    """ResNet-FPN. Level k (from 1) has `widths[k - 1]` channels at stride 2**k."""

    widths: tuple[int, ...] = (128, 196, 256)
    fine_level: int = 1  # level of the fine map; the coarse map is the last level

    def __post_init__(self) -> None:
        if not 1 <= self.fine_level < len(self.widths):
            raise ValueError(
                f"fine_level {self.fine_level} must be at least 1 and less than the {len(self.widths)} levels"
            )
        if min(self.widths) < 1:
            raise ValueError(f"widths must be positive, got {self.widths}")

    @property
    def coarse_stride(self) -> int:
        """Pixels per coarse cell."""
        return 2 ** len(self.widths)

    @property
    def fine_stride(self) -> int:
        """Pixels per fine cell."""
        return 2**self.fine_level


@dataclass(frozen=True)
class PositionConfig:
    """Sine encoding of positions of the coarse map.

    form: "released" is the faulty formula of the first published checkpoints; each checkpoint needs the form with which
    it was trained. where: "input" adds the encoding once, to the features; "every_layer" adds it to queries and keys of
    each layer, as DETR does (an ablation of the paper).
    """

    form: Literal["fixed", "released"] = "fixed"
    where: Literal["input", "every_layer"] = "input"


@dataclass(frozen=True)
class TransformerConfig:
    """Layers that attend within an image (`self`) or between the two images (`cross`)."""

    heads: int = 8
    layers: tuple[Literal["self", "cross"], ...] = ("self", "cross") * 4
    mixing: Literal["linear_attention", "convolution"] = "linear_attention"  # convolution: an ablation of the paper

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise ValueError(f"heads must be at least 1, got {self.heads}")


@dataclass(frozen=True)
class MatchingConfig:
    """Confidences of coarse matches (section 3.3 of the paper).

    padding: of optimal transport, for images that are padded to one size. "left_out": padded cells have no mass, so
    that the result is that of the images without padding. "release": they keep their mass, which the dustbins take, as
    in the authors' code.
    """

    kind: Literal["dual_softmax", "optimal_transport"] = "dual_softmax"
    temperature: float = 0.1  # of the dual softmax
    sinkhorn_iterations: int = 3
    dustbin_prefilter: bool = False  # optimal transport: drop cells whose best partner is the dustbin
    padding: Literal["left_out", "release"] = "left_out"

    def __post_init__(self) -> None:
        if self.temperature <= 0 or self.sinkhorn_iterations < 1:
            raise ValueError("temperature must be positive and sinkhorn_iterations at least 1")


@dataclass(frozen=True)
class SelectionConfig:
    """Which coarse matches are kept; may change from call to call."""

    threshold: float = 0.2  # minimum confidence
    border: int = 2  # width of the image border without matches, coarse cells
    max_matches: int = 0  # per pair, the most confident ones; 0: all

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold must lie between 0 and 1, got {self.threshold}")
        if self.border < 0 or self.max_matches < 0:
            raise ValueError("border and max_matches must not be negative")


@dataclass(frozen=True)
class FineConfig:
    """Refinement within a window of the fine map (section 3.4).

    mean_over: part of the heatmap whose mean is the match: the whole window, as in the paper, or the highest cell and
    its neighbours, which is more accurate for heatmaps that are not sharp. Training always uses the whole window.
    align_pixels: align the pixels around each match afterwards, see pixel_alignment.py. The paper does not do it.
    """

    window: int = 5  # fine cells, odd
    mean_over: Literal["window", "peak"] = "window"
    align_pixels: bool = False
    transformer: TransformerConfig = field(default_factory=lambda: TransformerConfig(layers=("self", "cross")))

    def __post_init__(self) -> None:
        if self.window < 3 or self.window % 2 == 0:
            raise ValueError(f"window must be odd and at least 3, got {self.window}")


@dataclass(frozen=True)
class LoFTRConfig:
    """A LoFTR network; the defaults are the published one."""

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    position: PositionConfig = field(default_factory=PositionConfig)
    coarse: TransformerConfig = field(default_factory=TransformerConfig)
    matching: MatchingConfig = field(default_factory=MatchingConfig)
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    fine: FineConfig = field(default_factory=FineConfig)

    def __post_init__(self) -> None:
        if self.coarse_width % 4:
            raise ValueError(f"the coarse width must be a multiple of 4, got {self.coarse_width}")
        for name, width, heads in (
            ("coarse", self.coarse_width, self.coarse.heads),
            ("fine", self.fine_width, self.fine.transformer.heads),
        ):
            if width % heads:
                raise ValueError(f"{name}: {heads} heads do not divide the width {width}")

    @property
    def coarse_width(self) -> int:
        """Channels of the coarse map."""
        return self.backbone.widths[-1]

    @property
    def fine_width(self) -> int:
        """Channels of the fine map."""
        return self.backbone.widths[self.backbone.fine_level - 1]
