"""Configuration of a training run, read from one YAML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from perception_common.training.loop import LoopConfig
from yolc_ros.datasets.sources import SourcesConfig
from yolc_ros.network.config import INPUT_MULTIPLE
from yolc_ros.training.augmentation.compose import AugmentationConfig
from yolc_ros.training.criterion import LossConfig
from yolc_ros.training.validation import ValidationConfig


@dataclass(frozen=True)
class YolcTrainingConfig:
    """A training run. `model` names config/models/MODEL.yaml; paths are relative to the working directory.

    initial_weights: a weights file of the same network to start from; None: random weights.
    initial_classes: for each class of the model, the class of initial_weights that it starts from; empty: the same.
    """

    model: str
    data: SourcesConfig
    validation: tuple[ValidationConfig, ...] = ()
    input_size: tuple[int, int] = (512, 512)  # width, height of training images, pixels
    initial_weights: Path | None = None
    initial_classes: tuple[str, ...] = ()
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    momentum: float = 0.9  # of SGD
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        if min(self.input_size) < INPUT_MULTIPLE or any(side % INPUT_MULTIPLE for side in self.input_size):
            raise ValueError(f"input_size must be multiples of {INPUT_MULTIPLE}, not {self.input_size}")
        if self.initial_classes and self.initial_weights is None:
            raise ValueError("initial_classes needs initial_weights")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must lie in [0, 1), not {self.momentum}")
