"""Matches with a turned image are in pixels of the image as it is."""

from types import SimpleNamespace

import numpy as np
import pytest

from loftr_ros.loops.turned import TurnedImage, quarter_turns
from loftr_ros.matches import Matches
from perception_common.geometry import so3_exp


class ByValue:
    """A matcher that matches equal pixels; it encodes an image as the place of each value."""

    def __init__(self):
        self.encoded = 0

    def encode(self, gray):
        self.encoded += 1
        return SimpleNamespace(places={int(v): (x, y) for (y, x), v in np.ndenumerate(gray)}, shape=gray.shape)

    def match(self, image0, image1):
        # Of an image that is not upright to the other one it finds one match only.
        common = sorted(image0.places)[: None if image0.shape == image1.shape else 1]
        points = [np.array([image.places[v] for v in common], np.float32) for image in (image0, image1)]
        flat = np.ones(len(common), np.float32)
        sizes = [image.shape[::-1] for image in (image0, image1)]
        return Matches(*points, flat, flat, np.arange(len(common)), np.arange(len(common)), *sizes)


@pytest.mark.parametrize("turns", range(4))
def test_points_are_those_of_the_upright_image(turns):
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    matcher = ByValue()
    turned = TurnedImage(matcher, image, matcher.encode(image))
    found = turned.match(matcher.encode(np.ascontiguousarray(np.rot90(image, turns))), turns)
    assert found.size1 == (4, 3)
    assert len(found) == 12
    np.testing.assert_array_equal(found.points1, [(v % 4, v // 4) for v in range(12)])


def test_each_orientation_is_encoded_once_and_the_best_one_wins():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    matcher = ByValue()
    turned = TurnedImage(matcher, image, matcher.encode(image))
    older = matcher.encode(np.ascontiguousarray(np.rot90(image)))
    assert len(turned.match_any(older)) == len(turned.match_any(older)) == 12
    assert matcher.encoded == 5


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("off", [-40.0, 0.0, 40.0])
def test_the_turns_undo_the_rotation_of_the_camera(turns, off):
    """A camera turned clockwise (about its optical axis) by an angle sees the scene turned counter-clockwise."""
    angle = np.radians(-90.0 * turns + off)
    tilt = so3_exp(np.array([0.1, -0.1, 0.0]))
    rotation = so3_exp(np.array([0.0, 0.0, angle])) @ tilt
    assert quarter_turns(rotation) == turns
