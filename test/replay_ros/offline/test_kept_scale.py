"""The scale that is found by looking, in a replay that resumes: kept results restore the state of the search."""

import numpy as np
import pytest

from replay_ros.offline.kept_results import KeptDetector
from yolc_ros.adaptive import AdaptiveDetector, LookSettings
from yolc_ros.detector import Detections
from yolc_ros.looks.bands import whole
from yolc_ros.looks.search import ScaleState


class Shelf(dict):
    """Stands in for the cache of a replay."""

    find = dict.get
    keep = dict.__setitem__


@pytest.fixture
def computed(monkeypatch):
    """Records the state before each image that is not read from the cache; each image makes the scale larger."""
    states = []

    def detect(self, image, state, view=None):
        assert self.settings.budget is None
        states.append(state.scale)
        after = ScaleState((state.scale.scale or 0.5) * 1.1, state.scale.age + 1, (image.shape[1], image.shape[0]))
        found = Detections(
            np.array([[1, 2, 3, 4]], np.float32),
            np.ones(1, np.float32),
            np.zeros(1, int),
            np.full(1, -1),
            (),
            ("car",),
            whole(image.shape[0], after.scale),
        )
        return found, type(state)(after)

    monkeypatch.setattr(AdaptiveDetector, "detect", detect)
    monkeypatch.setattr(KeptDetector, "class_names", ("car",))
    return states


def images(count):
    return [np.full((20, 30, 3), value, np.uint8) for value in range(count)]


def test_a_resumed_replay_goes_on_with_the_scale_of_the_kept_images(computed):
    shelf, looks = Shelf(), LookSettings("auto", budget=0.1)
    first = KeptDetector(None, shelf, looks)
    scales = [first.detect(image).bands[0].scale for image in images(5)]
    assert len(computed) == 5
    resumed = KeptDetector(None, shelf, looks)
    again = [resumed.detect(image).bands[0].scale for image in images(7)]
    assert len(computed) == 7
    assert again[:5] == scales
    assert again[5] == pytest.approx(scales[4] * 1.1)
    assert resumed.scale.age == 7


def test_an_image_that_returns_with_another_scale_is_looked_at_again(computed):
    detector = KeptDetector(None, Shelf(), LookSettings("auto"))
    (image,) = images(1)
    first = detector.detect(image).bands[0].scale
    assert detector.detect(image).bands[0].scale > first
    detector.forget()
    assert detector.detect(image).bands[0].scale == first
    assert len(computed) == 2


def test_at_a_fixed_scale_the_same_image_is_read_from_the_cache(computed):
    class Fixed:
        calls = 0

        def detect(self, image):
            self.calls += 1
            return Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), np.zeros(0, int), (), ("car",))

    fixed = Fixed()
    detector = KeptDetector(fixed, Shelf(), LookSettings())
    (image,) = images(1)
    detector.detect(image)
    detector.detect(image)
    assert (fixed.calls, computed) == (1, [])
