"""What the tests of replays and evaluations stand on."""

import pytest

from yolc_ros.adaptive import AdaptiveDetector
from yolc_ros.detector import Detector


@pytest.fixture
def detect_with(monkeypatch):
    """Let a function of detector and image stand in for the detection, at a fixed scale and at one that is found."""

    def use(detect):
        def adaptive(self, image, state=None, view=None):
            return detect(self.detector, image), state

        monkeypatch.setattr(Detector, "detect", detect)
        monkeypatch.setattr(AdaptiveDetector, "detect", adaptive)

    return use
