"""The seam between the node and a detector: YOLC, or kept results of a replay."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from yolc_ros.detector import Detections


class ObjectDetector(Protocol):
    """Detects objects in images; a pure function of the image."""

    @property
    def name(self) -> str:
        """Name of the model, as in the parameter `model`."""

    @property
    def trained(self) -> bool:
        """False: the weights are random and the boxes mean nothing."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each label."""

    def detect(self, image: np.ndarray) -> Detections:
        """Detect objects in an RGB image (H, W, 3) uint8 of any size. Raises InputError for anything else."""
