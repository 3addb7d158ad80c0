"""Configuration of a training run of LoFTR, read from one YAML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from loftr_ros.datasets.flights import FlightConfig
from loftr_ros.datasets.homography import HomographyConfig
from loftr_ros.datasets.megadepth import MegaDepthConfig
from loftr_ros.datasets.scannet import ScanNetConfig
from loftr_ros.network.config import LoFTRConfig
from loftr_ros.training.losses import LossConfig
from perception_common.config import load_yaml
from perception_common.resources import find_config
from perception_common.training.loop import LoopConfig


@dataclass(frozen=True)
class SourceWeights:
    """How often each source is sampled, relative to the sum of the weights."""

    homographies: float = 0.0
    thermal: float = 0.0
    flights: float = 0.0
    scannet: float = 0.0
    megadepth: float = 0.0


@dataclass(frozen=True)
class DataConfig:
    """Sources of training pairs.

    sizes: (width, height) of the images, one of which is sampled in each step. thermal: homographies of thermal images,
    which are weighted and validated on their own.
    """

    weights: SourceWeights
    sizes: tuple[tuple[int, int], ...] = ((320, 240),)
    homographies: HomographyConfig | None = None
    thermal: HomographyConfig | None = None
    flights: FlightConfig | None = None
    scannet: ScanNetConfig | None = None
    megadepth: MegaDepthConfig | None = None

    def __post_init__(self) -> None:
        if not self.sizes or min(min(size) for size in self.sizes) < 64:
            raise ValueError("sizes must name at least one (width, height) of 64 pixels or more")
        weights = vars(self.weights)
        if min(weights.values()) < 0 or sum(weights.values()) == 0:
            raise ValueError("weights must not be negative, and one of them must be positive")
        for name, weight in weights.items():
            if (weight > 0) != (getattr(self, name) is not None):
                raise ValueError(f"{name}: a source needs both its section and a positive weight, or neither")


@dataclass(frozen=True)
class ValidationConfig:
    """Held-out pairs: of photographs set aside, of other simulated scenes, and real pairs with known poses."""

    pairs: int = 32  # of each source
    size: tuple[int, int] = (320, 240)
    posed_pairs: tuple[Path, ...] = ()  # pairs.json files
    max_side: int = 640  # of the images of posed_pairs, pixels


@dataclass(frozen=True)
class TrainingConfig:
    """A training run.

    model: name of a configuration in config/models. network: a configuration in place of `model`, as for an ablation.
    weights: a weights file to start from; None: random weights.
    """

    data: DataConfig
    model: str | None = None
    network: LoFTRConfig | None = None
    weights: Path | None = None
    loop: LoopConfig = field(default_factory=LoopConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)

    def __post_init__(self) -> None:
        if (self.model is None) == (self.network is None):
            raise ValueError("give either model (a name) or network (a configuration)")

    def network_config(self) -> LoFTRConfig:
        """Configuration of the network. Raises InputError if there is no model of this name."""
        if self.network is not None:
            return self.network
        return load_yaml(LoFTRConfig, find_config(f"models/{self.model}.yaml"))
