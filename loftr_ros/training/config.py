"""Everything that a training run of LoFTR is made from, as typed values read from YAML."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from loftr_ros.datasets.homography import HomographyConfig
from loftr_ros.training.losses import LossConfig
from perception_common.training.loop import LoopConfig


@dataclass(frozen=True)
class DataConfig:
    """What pairs are drawn from. sizes: (width, height) of the images; each step draws one of them."""

    sizes: tuple[tuple[int, int], ...] = ((320, 240),)
    homographies: HomographyConfig = field(default_factory=HomographyConfig)
    homography_weight: float = 1.0


@dataclass(frozen=True)
class ValidationConfig:
    """Pairs of the kept photographs, and real pairs with poses (never trained on)."""

    homographies: int = 32
    size: tuple[int, int] = (320, 240)
    posed_pairs: tuple[Path, ...] = ()  # pairs.json files
    max_side: int = 640  # of their images


@dataclass(frozen=True)
class TrainingConfig:
    """A run. model: name of a configuration in config/models. weights: start from this file instead of at random."""

    model: str
    weights: Path | None = None
    loop: LoopConfig = field(default_factory=LoopConfig)
    data: DataConfig = field(default_factory=DataConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
