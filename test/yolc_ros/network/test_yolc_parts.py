"""The part of YOLC for other runtimes: through the seam, torch computes what it computes without."""

import numpy as np

from perception_common.backends.devices import choose_device
from perception_common.backends.runtime import TorchRuntime
from yolc_ros.detector import Detector, DetectorSettings
from yolc_ros.network.parts import yolc_parts


class Counting:
    def __init__(self, runtime):
        self.shapes = []
        self._runtime = runtime

    def run(self, part, *inputs):
        assert part == "maps"
        self.shapes.append(tuple(inputs[0].shape))
        return self._runtime.run(part, *inputs)


def test_detection_runs_the_maps_in_the_runtime():
    settings = DetectorSettings(score_threshold=0.01, flip=True)
    detector = Detector.load("yolc_lite", "default", choose_device("cpu"), settings)
    image = np.random.default_rng(0).integers(0, 256, (100, 130, 3), np.uint8)
    expected = detector.detect(image)
    assert len(expected.boxes)
    runtime = Counting(TorchRuntime(yolc_parts(detector.network)))
    detector.network.runtime = runtime
    found = detector.detect(image)
    assert runtime.shapes[0] == (2, 3, 128, 160)
    for name in ("boxes", "scores", "labels", "region"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
