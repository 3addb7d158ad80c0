"""The choice of looks: fixed, found, from the ground, and within a budget, with a stand-in for the detector."""

import dataclasses
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from yolc_ros.adaptive import AdaptiveDetector, LookSettings, LookState, measure_costs
from yolc_ros.boxes import ScoredBoxes
from yolc_ros.clusters import Region
from yolc_ros.detector import Detections, FirstLook
from yolc_ros.looks.bands import GroundView, band_pixels, whole
from yolc_ros.looks.budget import input_pixels
from yolc_ros.looks.crowds import CrowdConfig
from yolc_ros.network.config import ObjectSizes

SIZES = ObjectSizes(smallest=14.0, best=22.0, largest=40.0, metres=(4.0,))
IMAGE = np.zeros((720, 1280, 3), np.uint8)
CROWD = tuple(Region(100 * k, 0, 100 * k + 300, 300, 9.0, 2.0) for k in range(3))


class StandIn:
    """Finds objects of which a metre has `per_metre` pixels, and takes a second for a million input pixels.

    looks: bands of each first look. crops: regions that were looked at.
    """

    def __init__(self, per_metre: float, regions: tuple[Region, ...] = (), sizes: ObjectSizes | None = SIZES):
        self.per_metre, self.regions, self.now = per_metre, regions, 0.0
        self.network = SimpleNamespace(config=SimpleNamespace(object_sizes=sizes))
        self.settings = SimpleNamespace(max_side=1920)
        self.lsm = CrowdConfig()
        self.looks: list[tuple] = []

    def detect(self, image):
        first = self.look(image, whole(image.shape[0], 1.0))
        return self.complete(image, first, ())

    def prepare(self, image):
        return image

    def look(self, image, bands=()):
        self.looks.append(tuple(bands))
        self.now += band_pixels(bands, image.shape[1]) / 1e6
        score = 0.8 * np.exp(-(np.log(self.per_metre * bands[0].scale / SIZES.best) ** 2))
        count = 10 if score >= 0.1 else 0
        corner = np.arange(count)[:, None] * 60.0
        side = self.per_metre * SIZES.metres[0]
        boxes = np.hstack([corner, corner, corner + side, corner + side]).astype(np.float32)
        found = ScoredBoxes(boxes, np.full(count, score, np.float32), np.zeros(count, np.int64))
        return FirstLook(found, tuple(bands), self.regions)

    def with_probabilities(self, found):
        return found

    def complete(self, image, first, regions):
        self.now += sum(map(input_pixels, regions)) / 1e6
        found = first.found
        region = np.full(len(found), -1)
        return Detections(found.boxes, found.scores, found.labels, region, tuple(regions), ("car",), first.bands)


def adaptive(detector: StandIn, mode: str = "fixed", budget: float | None = None) -> AdaptiveDetector:
    return AdaptiveDetector(detector, LookSettings(mode, budget), clock=lambda: detector.now)  # type: ignore[arg-type]


def test_a_fixed_scale_is_that_of_max_side_and_needs_one_look():
    detector = StandIn(40.0)
    found, _ = adaptive(detector).detect(np.zeros((2160, 3840, 3), np.uint8))
    assert [band.scale for band in found.bands] == [0.5]
    assert len(detector.looks) == 1


def test_a_found_scale_is_kept_until_the_objects_change():
    detector = StandIn(44.0)
    state = LookState()
    scales = []
    for index in range(50):
        if index == 30:
            detector.per_metre = 12.0  # the drone climbs
        before = len(detector.looks)
        found, state = adaptive(detector, "auto").detect(IMAGE, state)
        scales.append(found.bands[0].scale)
        assert len(detector.looks) - before == 1 or index in (0, 31)
    assert 14 < scales[0] * 44 < 40
    assert scales[1:30] == scales[:1] * 29
    assert 14 < scales[-1] * 12 < 40


def test_reduce_finds_smaller_scales_only():
    for per_metre, is_reduced in ((66.0, True), (11.0, False)):
        scales = {}
        for mode in ("auto", "reduce"):
            found, _ = adaptive(StandIn(per_metre), mode).detect(IMAGE)
            scales[mode] = found.bands[0].scale
        assert (scales["auto"] < 1) == is_reduced
        assert scales["reduce"] == min(scales["auto"], 1.0)


def test_reduce_is_never_larger_than_max_side():
    detector = StandIn(11.0)
    adaptive(detector, "reduce").detect(np.zeros((2160, 3840, 3), np.uint8))
    assert max(bands[0].scale for bands in detector.looks) == 0.5


def test_images_of_another_size_begin_anew():
    detector = StandIn(44.0)
    _, state = adaptive(detector, "auto").detect(IMAGE)
    before = len(detector.looks)
    adaptive(detector, "auto").detect(IMAGE[:360, :640], state)
    assert len(detector.looks) - before > 1


def test_without_objects_the_scale_is_that_of_max_side_and_is_searched_again_later():
    detector = StandIn(1.0)
    state = LookState()
    counts = []
    for _ in range(45):
        found, state = adaptive(detector, "auto").detect(IMAGE, state)
        counts.append(len(detector.looks))
        assert found.bands[0].scale == 1.0
    searches = np.flatnonzero(np.diff([0, *counts]) > 1)
    assert searches.tolist() == [0, 21, 42]


def test_within_a_budget_the_scale_is_searched_in_fewer_than_one_image_of_twenty():
    """A search exceeds the budget, so that p95 holds only where searches are rarer."""
    detector = StandIn(1.0)
    state, searches = LookState(), 0
    for _ in range(120):
        before = len(detector.looks)
        _, state = adaptive(detector, "auto", budget=0.3).detect(IMAGE, state)
        searches += len(detector.looks) - before > 1
    assert 2 <= searches < 120 / 20


def test_costs_are_measured_at_several_sizes_before_the_first_image():
    detector = StandIn(22.0)
    costs = measure_costs(detector, clock=lambda: detector.now)  # type: ignore[arg-type]
    assert [pixels for pixels, _ in costs.looks] == [640 * 480, 320 * 256, 160 * 128]
    assert costs.seconds(1e6) == pytest.approx(1.0)


def test_the_ground_gives_the_scale_and_a_missing_view_the_search():
    detector = StandIn(44.0)
    view = GroundView(20.0, (0.0, 0.0, 1.0), (880.0, 880.0), (640.0, 360.0))  # 44 pixels per metre
    found, _ = adaptive(detector, "ground").detect(IMAGE, view=view)
    assert [band.scale for band in found.bands] == [pytest.approx(0.5)]
    assert len(detector.looks) == 1
    detector.per_metre = 100.0
    adaptive(detector, "ground").detect(IMAGE)
    assert len(detector.looks) > 2


def test_the_ground_asks_for_no_scale_beyond_the_detail_of_an_image():
    view = GroundView(60.0, (0.0, 0.0, 1.0), (880.0, 880.0), (640.0, 360.0))
    noise = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    (sharp,) = adaptive(StandIn(880 / 60), "ground").detect(noise, view=view)[0].bands
    (soft,) = adaptive(StandIn(880 / 60), "ground").detect(cv2.GaussianBlur(noise, None, 4.0), view=view)[0].bands
    assert sharp.scale == pytest.approx(SIZES.best * 60 / 880)
    assert soft.scale < sharp.scale / 2


def test_a_network_of_unknown_sizes_has_a_fixed_scale():
    detector = StandIn(44.0, sizes=None)
    found, _ = adaptive(detector, "auto").detect(IMAGE)
    assert [band.scale for band in found.bands] == [1.0]
    assert len(detector.looks) == 1


@pytest.mark.parametrize("budget", [0.3, 1.2, 1.6, 9.0])
def test_after_the_first_image_the_looks_stay_within_the_budget(budget):
    """A look at the whole image takes 0.92 s, one at a region 0.36 s."""
    detector = StandIn(22.0, CROWD)
    state, seconds = LookState(), []
    for _ in range(12):
        start = detector.now
        found, state = adaptive(detector, budget=budget).detect(IMAGE, state)
        seconds.append(detector.now - start)
    assert max(seconds[1:]) <= budget + 1e-9
    expected = {0.3: (0.3, 3), 1.2: (1.0, 3), 1.6: (1.0, 3), 9.0: (1.0, 0)}[budget]
    left_out = state.left_out
    assert (left_out.scale_share < 1) == (expected[0] < 1)
    assert len(found.regions) == 3 - left_out.regions
    if budget == 9.0:
        assert (left_out.regions, left_out.reduced) == (0, 0)
    if budget == 1.6:
        assert 0 < len(found.regions) < 3
        assert seconds[-1] > 1.2


def test_without_a_budget_the_result_does_not_depend_on_the_costs():
    detector = StandIn(22.0, CROWD)
    slow = dataclasses.replace(LookState(), costs=LookState().costs.with_look(1.0, 1e6))
    assert len(adaptive(detector).detect(IMAGE, slow)[0].regions) == 3
