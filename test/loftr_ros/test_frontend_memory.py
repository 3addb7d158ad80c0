"""What the front end keeps of an image, counted in Python's memory blocks and in bytes, without a clock."""

import gc
import sys
import tracemalloc
from collections import deque
from dataclasses import dataclass

import numpy as np
import pytest

from loftr_ros.frontend import Frontend, FrontendSettings
from loftr_ros.keyframes.policy import KeyframePolicy
from loftr_ros.matches import Matches

WIDTH, HEIGHT, GRID = 160, 120, 16  # of the images and between the points on the ground, pixels
STORE = 1 << 18  # bytes for keyframes: full after a dozen
KEPT_OF_A_KEYFRAME = 3000  # bytes: of its pose, and of its place for the search for loops, mostly its descriptor


@dataclass(frozen=True)
class Window:
    """What of the ground an image shows. left: pixels."""

    left: int
    turns: int = 0
    nbytes: int = 1 << 14

    @property
    def descriptor(self):
        return np.full(256, self.left, np.float32)


class TrueMatcher:
    """Knows the place of an image on the ground from its first two pixels; matches the points that both images show."""

    name, trained, repeats_keypoints, turning_helps = "true", True, True, False

    def with_settings(self, settings):
        return self

    def encode(self, gray, turns=0, *, rough=False):
        return Window(256 * int(gray[0, 0]) + int(gray[0, 1]))

    def match(self, image0, image1, known=None):
        columns = np.arange(0, 1 << 16, GRID)
        columns = columns[
            (columns >= max(image0.left, image1.left)) & (columns < min(image0.left, image1.left) + WIDTH)
        ]
        x, y = (each.ravel().astype(np.float32) for each in np.meshgrid(columns, np.arange(8, HEIGHT, GRID)))
        ones, cells = np.ones(len(x), np.float32), np.arange(len(x))
        points = (np.stack([x - image.left, y], axis=1).astype(np.float32) for image in (image0, image1))
        return Matches(*points, ones, ones, cells, cells, (WIDTH, HEIGHT), (WIDTH, HEIGHT))


class Flight:
    """A front end under a camera that moves over the ground."""

    def __init__(self):
        policy = KeyframePolicy(min_matches=5, lost_matches=5, max_interval=1e6)
        self.frontend = Frontend(TrueMatcher(), FrontendSettings(policy=policy, memory=STORE))
        self._texture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), np.uint8)
        self._count = self._left = 0

    def fly(self, images, step):
        """Process images between which the camera moves by `step` pixels; returns how many became keyframes."""
        before = self.frontend.keyframes_made
        for _ in range(images):
            self._count += 1
            self._left += step
            image = self._texture.copy()
            image[0, :2] = divmod(self._left, 256)
            self.frontend.sensors.add_image(self._count * 10**8)
            self.frontend.process(self._count * 10**8, image, None, frame_id="camera")
        return self.frontend.keyframes_made - before

    def blocks_of_an_image(self, images=200):
        """Return how many memory blocks are kept of each image that becomes no keyframe."""
        gc.collect()
        before = sys.getallocatedblocks()
        assert self.fly(images, step=0) == 0
        gc.collect()
        return (sys.getallocatedblocks() - before) / images


@pytest.fixture(scope="module")
def flight():
    """A flight whose windows and stores are full."""
    flight = Flight()
    flight.fly(150, step=10)
    flight.fly(150, step=0)
    return flight


def test_an_image_that_is_no_keyframe_leaves_nothing(flight):
    assert flight.blocks_of_an_image() < 0.5


def test_a_history_without_a_bound_is_found(flight, monkeypatch):
    """The measurement sees a few numbers that are kept of each image."""
    monkeypatch.setattr(flight.frontend._monitor, "_recent", deque(flight.frontend._monitor._recent))
    assert flight.blocks_of_an_image() > 2


def test_a_keyframe_leaves_little_when_its_features_had_to_go(flight):
    tracemalloc.start()
    flight.fly(150, step=10)  # the store now holds only what is traced
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    made = flight.fly(150, step=10)
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert made >= 30
    assert kept / made < KEPT_OF_A_KEYFRAME, (kept / made, made)
