"""The search of a scale, on looks whose scores fall off to both sides of the best size."""

import math

import numpy as np
import pytest

from yolc_ros.boxes import ScoredBoxes
from yolc_ros.looks.search import ScaleState, SearchConfig, fitting_scale, follow, largest_scale, rate, search
from yolc_ros.network.config import ObjectSizes

SIZES = ObjectSizes(smallest=14.0, best=22.0, largest=40.0, metres=(4.0,))
CONFIG = SearchConfig()


class Scene:
    """Objects of which a metre has `per_metre` image pixels; scores are highest at the network's best size.

    looks: the scales at which it was looked at.
    """

    def __init__(self, per_metre: float, objects: int = 12):
        self.per_metre, self.objects = per_metre, objects
        self.looks: list[float] = []

    def __call__(self, scale: float) -> ScoredBoxes:
        self.looks.append(scale)
        score = 0.8 * math.exp(-(math.log(self.per_metre * scale / SIZES.best) ** 2))
        side = self.per_metre * SIZES.metres[0]
        corners = np.arange(self.objects)[:, None] * 50.0
        boxes = np.hstack([corners, corners, corners + side, corners + side]).astype(np.float32)
        kept = self.objects if score >= 0.1 else 0
        return ScoredBoxes(boxes[:kept], np.full(kept, score, np.float32), np.zeros(kept, np.int64))


@pytest.mark.parametrize("per_metre", [12.0, 20.0, 45.0, 110.0])
def test_the_best_scale_is_found(per_metre):
    scene = Scene(per_metre)
    found = search(scene, 0.3, 2.0, SIZES, CONFIG)
    assert found is not None
    assert SIZES.best / 1.35 < found * per_metre < SIZES.best * 1.35
    assert len(scene.looks) <= 6


def test_the_search_ends_at_the_largest_scale():
    assert search(Scene(5.0), 0.3, 1.5, SIZES, CONFIG) == 1.5
    assert largest_scale(3840, 2160, 1920) == 0.5
    assert largest_scale(640, 480, 0) == 2.0


def test_without_objects_nothing_is_found_and_the_scale_in_use_is_kept():
    assert search(Scene(20.0, objects=0), 0.3, 1.0, SIZES, CONFIG) is None
    assert search(Scene(20.0, objects=0), 0.3, 1.0, SIZES, CONFIG, current=0.7) == 0.7


def test_the_scale_in_use_is_left_only_for_a_clearly_better_one():
    assert search(Scene(22.0), 0.3, 2.0, SIZES, CONFIG, current=1.1) == 1.1
    far = search(Scene(22.0), 0.3, 2.0, SIZES, CONFIG, current=0.4)
    assert far is not None
    assert far > 0.7


def test_the_size_of_the_objects_tells_the_scale():
    assert fitting_scale(Scene(11.0)(1.5), SIZES, CONFIG) == pytest.approx(2.0, rel=1e-5)
    assert fitting_scale(Scene(11.0, objects=0)(1.5), SIZES, CONFIG) is None


def test_a_search_is_due_when_the_objects_leave_the_range_and_not_before_the_retry():
    found = Scene(22.0)(1.0)
    fitting, outside = (ScaleState(scale, 30, (100, 100)) for scale in (1.0, 0.4))
    assert follow(fitting, found, 1.0, SIZES, CONFIG).age == 31
    assert follow(outside, found, 1.0, SIZES, CONFIG).age == CONFIG.interval
    assert follow(fitting, found, 0.4, SIZES, CONFIG).age == CONFIG.interval  # a budget reduced the look
    assert follow(ScaleState(0.4, 3, (100, 100)), found, 1.0, SIZES, CONFIG).age == 4


class Street(Scene):
    """Cars whose scores rise to their best size, and lane markings that become doubtful boxes in too large an image."""

    def __call__(self, scale: float) -> ScoredBoxes:
        cars = super().__call__(scale)
        markings = 80 if scale > 0.6 else 0
        boxes = np.tile(np.array([[0, 0, 12, 12]], np.float32), (markings, 1))
        scores = np.full(markings, 0.35, np.float32)
        return ScoredBoxes(
            np.vstack([cars.boxes, boxes]),
            np.concatenate([cars.scores, scores]),
            np.zeros(len(cars.scores) + markings, np.int64),
        )


def test_many_doubtful_boxes_do_not_outweigh_sure_ones():
    street = Street(per_metre=60.0)
    found = search(street, 0.33, 1.0, SIZES, CONFIG)
    assert found == pytest.approx(SIZES.best / 60.0, rel=0.2)
    assert rate(street(1.0), CONFIG) < rate(street(0.37), CONFIG)
    assert rate(street(1.0), CONFIG) > 0
