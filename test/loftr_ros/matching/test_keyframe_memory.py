"""Keyframes lose their features first and are encoded again from their image."""

from dataclasses import dataclass

import numpy as np
import pytest

from loftr_ros.matching.keyframe import Keyframe
from loftr_ros.matching.memory import KeyframeMemory
from loftr_ros.results import KeyframeInfo
from loftr_ros.sensors.suite import FrameReadings
from perception_common.errors import InputError

SIDE = 8
IMAGE = np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE)


@dataclass(frozen=True, eq=False)
class Features:
    """Features of 1,000 bytes."""

    brightness: int
    nbytes: int = 1000
    turns: int = 0
    descriptor: np.ndarray | None = None


def encode(image):
    return Features(int(image.sum()))


def keyframe(number, mount=None):
    info = KeyframeInfo(number, number * 10**9, "camera", SIDE, SIDE, None, mount)
    return Keyframe(info, encode(IMAGE), IMAGE, FrameReadings(info.stamp_ns))


@pytest.fixture
def memory():
    """Room for two keyframes with features, and for the images of others."""
    return KeyframeMemory(features_bytes=2 * (1000 + IMAGE.nbytes), images_bytes=10_000, folder="")


def test_the_features_of_the_oldest_keyframe_go_and_come_back(memory):
    assert [memory.add(keyframe(number)) for number in range(3)] == [(), (), (0,)]
    assert memory.ids == (0, 1, 2)
    assert [each.info.id for each in memory.newest(5)] == [1, 2]
    again = memory.find(0, encode)
    np.testing.assert_array_equal(again.image, IMAGE)
    assert again.encoded.brightness == int(IMAGE.sum())


def test_a_keyframe_that_is_not_kept_is_named_with_those_that_are(memory):
    memory.add(keyframe(0))
    memory.clear()
    memory.add(keyframe(1))
    assert memory.find(0, encode) is None
    with pytest.raises(InputError, match="keyframe 0 is no longer kept: kept are 1 to 1, 1 of them"):
        memory.get(0, encode)
    with pytest.raises(InputError, match="there is no keyframe 2: kept are 1 to 1"):
        memory.get(2, encode)


def test_a_mount_that_comes_late_is_filled_in_once(memory):
    first = np.eye(4)
    memory.add(keyframe(0, mount=first))
    memory.add(keyframe(1))
    memory.complete_mounts(lambda frame, stamp: np.full((4, 4), stamp))
    mounts = [each.info.T_base_camera for each in memory.newest(2)]
    assert mounts[0] is first
    assert mounts[1][0, 0] == 10**9
