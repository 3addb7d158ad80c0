"""AP50 on held-out images, with a stand-in detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from perception_common.backends.devices import DevicePolicy
from yolc_ros.datasets.mixture import Mixture, Part
from yolc_ros.datasets.samples import ImageLabels, Sample
from yolc_ros.datasets.sources import CocoConfig, SourcesConfig
from yolc_ros.detector import Detections, Detector, DetectorSettings
from yolc_ros.network.config import HrnetConfig, YolcConfig
from yolc_ros.network.yolc import Yolc
from yolc_ros.training.validation import ValidationConfig, validate

CLASSES = ("car", "bus")


@dataclass(frozen=True)
class Oracle(Detector):
    """Detects the white car in the image, and with the LSM also the black one."""

    def detect(self, image: np.ndarray) -> Detections:
        grey = image[..., 0]
        levels = [255] if self.settings.lsm is None else [255, 0]
        rows = []
        for level in levels:
            ys, xs = np.nonzero(grey == level)
            rows.append([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        count = len(rows)
        return Detections(
            np.array(rows, np.float32), np.ones(count), np.zeros(count, np.int64), np.full(count, -1), (), CLASSES
        )


@dataclass(frozen=True)
class Drawn:
    """Images with a white and a black car."""

    def __len__(self) -> int:
        return 3

    def name(self, index: int) -> str:
        return str(index)

    def load(self, index: int) -> Sample:
        image = np.full((64, 64, 3), 99, np.uint8)
        image[8:16, 8 + index : 24 + index] = 255
        image[40:48, 8:24] = 0
        boxes = np.array([[8 + index, 8, 24 + index, 16], [8, 40, 24, 48]], np.float32)
        truth = ImageLabels(boxes, np.zeros(2, np.int64), np.zeros((0, 4), np.float32), np.ones(2, dtype=bool))
        return Sample(str(index), image, truth)


def test_ap50_with_and_without_the_crop_pass() -> None:
    small = HrnetConfig(8, 8, 1, (8, 8, 8, 8), (1, 1, 1), 1)
    network = Yolc(YolcConfig(CLASSES, small, neck_width=8, box_width=8))
    oracle = Oracle("oracle", network, DevicePolicy(torch.device("cpu"), torch.float32), DetectorSettings(), None)
    sources = SourcesConfig(coco=(CocoConfig(annotations=None, images=None),))  # type: ignore[arg-type]  # not opened
    metrics = validate(oracle, Mixture((Part(Drawn(), False, 1.0),)), ValidationConfig("drawn", sources))
    assert metrics["drawn_ap50"] == pytest.approx(51 / 101)  # half of the cars
    assert metrics["drawn_lsm_ap50"] == pytest.approx(1.0)
    assert set(metrics) == {f"drawn{suffix}_{what}" for suffix in ("", "_lsm") for what in ("ap50", "seconds")}
