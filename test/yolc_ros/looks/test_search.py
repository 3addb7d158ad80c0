"""The search of a scale, on looks whose scores fall off to both sides of the best size."""

import itertools
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
    assert len(set(scene.looks)) <= 6


def test_no_scale_is_looked_at_twice_because_of_rounding():
    scene = Scene(26.0, objects=1)
    search(scene, 0.3, 2.0, SIZES, CONFIG)
    scales = sorted(set(scene.looks))
    assert min(larger / smaller for smaller, larger in itertools.pairwise(scales)) > 1.1


def test_a_larger_look_has_to_show_clearly_more():
    corners = np.arange(6)[:, None] * 500.0
    boxes = np.hstack([corners, corners, corners + 400, corners + 400])

    def look_with(gain: float):
        def look(scale: float) -> ScoredBoxes:
            probability = 0.6 * (scale / 0.3) ** gain
            return ScoredBoxes(boxes, np.full(6, min(probability, 0.99)), np.zeros(6, np.int64))

        return look

    assert search(look_with(0.1), 0.3, 2.0, SIZES, CONFIG) <= 0.3
    assert search(look_with(0.8), 0.3, 2.0, SIZES, CONFIG) > 0.5


def test_the_search_ends_at_the_largest_scale():
    assert search(Scene(5.0), 0.3, 1.5, SIZES, CONFIG) == 1.5
    assert largest_scale(3840, 2160, 1920) == 0.5
    assert largest_scale(640, 480, 0) == 2.0


def test_without_objects_nothing_is_found_and_the_scale_in_use_is_kept():
    assert search(Scene(20.0, objects=0), 0.3, 1.0, SIZES, CONFIG) is None
    assert search(Scene(20.0, objects=0), 0.3, 1.0, SIZES, CONFIG, current=0.7) == 0.7


def test_the_scale_in_use_is_left_only_for_a_clearly_better_one():
    assert search(Scene(22.0), 0.3, 2.0, SIZES, CONFIG, current=1.0) == 1.0
    far = search(Scene(22.0), 0.3, 2.0, SIZES, CONFIG, current=0.4)
    assert far is not None
    assert far > 0.7


def test_the_size_of_the_objects_tells_the_scale():
    assert fitting_scale(Scene(11.0)(1.5), SIZES, CONFIG) == pytest.approx(2.0, rel=1e-5)
    assert fitting_scale(Scene(11.0, objects=0)(1.5), SIZES, CONFIG) is None


def test_a_search_is_due_when_the_objects_leave_the_range_and_not_before_the_retry():
    found = Scene(22.0)(1.0)
    fitting, outside = (ScaleState(scale, 30, (100, 100)) for scale in (1.0, 0.4))
    assert follow(fitting, found, 1.0, 2.0, SIZES, CONFIG).age == 31
    assert follow(outside, found, 1.0, 2.0, SIZES, CONFIG).age == CONFIG.interval
    assert follow(fitting, found, 0.4, 2.0, SIZES, CONFIG).age == CONFIG.interval  # a budget reduced the look
    assert follow(ScaleState(0.4, 3, (100, 100)), found, 1.0, 2.0, SIZES, CONFIG).age == 4


def test_objects_that_are_too_small_at_the_largest_scale_cause_no_search():
    small, large = Scene(9.0), Scene(44.0)
    state = ScaleState(1.0, 30, (100, 100))
    assert follow(state, small(1.0), 1.0, 1.0, SIZES, CONFIG).age == 31
    assert follow(state, large(1.0), 1.0, 1.0, SIZES, CONFIG).age == CONFIG.interval


@pytest.mark.parametrize("gain", [0.9, 1.05, 1.2])
def test_a_smaller_look_has_to_show_clearly_more_where_the_largest_scale_is_preferred(gain):
    corners = np.arange(6)[:, None] * 500.0
    boxes = np.hstack([corners, corners, corners + 400, corners + 400])

    def look(scale: float) -> ScoredBoxes:
        exceeds = 0.4 * (gain if scale < 0.9 else 1.0)  # what a box counts in the rating
        return ScoredBoxes(boxes, np.full(6, CONFIG.likely + exceeds), np.zeros(6, np.int64))

    config = SearchConfig(cost_power=0.0, least_gain=1.1)
    found = search(look, 0.3, 1.0, SIZES, config)
    assert found is not None
    assert (found < 0.9) == (gain > 1.1)
    kept = search(look, 0.3, 1.0, SIZES, config, current=0.3)
    assert kept == (0.3 if gain > 1 else 1.0)  # no switching to and fro


class Street(Scene):
    """Cars whose scores rise to their best size, and further boxes, all alike, in too large an image.

    side: of a further box, image pixels. score: its probability.
    """

    def __init__(self, per_metre: float, side: float, score: float):
        super().__init__(per_metre)
        self.side, self.score = side, score

    def __call__(self, scale: float) -> ScoredBoxes:
        cars = super().__call__(scale)
        further = 80 if scale > 0.6 else 0
        boxes = np.tile(np.array([[0, 0, self.side, self.side]], np.float32), (further, 1))
        return ScoredBoxes(
            np.vstack([cars.boxes, boxes]),
            np.concatenate([cars.scores, np.full(further, self.score, np.float32)]),
            np.zeros(len(cars.scores) + further, np.int64),
        )


@pytest.mark.parametrize(
    ("side", "score"),
    [pytest.param(12.0, 0.6, id="lane markings, as sure as far cars"), pytest.param(240.0, 0.25, id="doubtful")],
)
def test_sure_objects_outweigh_many_doubtful_boxes_and_many_small_ones(side, score):
    street = Street(60.0, side, score)
    found = search(street, 0.33, 1.0, SIZES, CONFIG)
    assert found is not None
    assert SIZES.best / 1.35 < found * 60.0 < SIZES.best * 1.35
    assert 0 < rate(street(1.0), 1.0, SIZES, CONFIG) < rate(street(0.37), 0.37, SIZES, CONFIG)


def test_a_surer_or_larger_box_is_worth_more_up_to_the_best_size():
    def rated(side: float, score: float) -> float:
        found = ScoredBoxes(np.array([[0, 0, side, side]]), np.array([score]), np.zeros(1, np.int64))
        return rate(found, 1.0, SIZES, CONFIG)

    best = SIZES.best * SIZES.metres[0]
    assert rated(best, 0.8) == pytest.approx(0.8 - CONFIG.likely, abs=0.01)
    assert rated(best / 2, 0.8) == pytest.approx(
        0.5 - CONFIG.likely, abs=0.01
    )  # odds 4 become 1 with a quarter of the area
    assert rated(best * 2, 0.8) == rated(best, 0.8) < rated(best, 1.0) < 1.0
    assert 0 < rated(best, 0.1) < rated(best, 0.2) < 0.01
