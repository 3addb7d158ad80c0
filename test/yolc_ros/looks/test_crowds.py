"""The LSM by sizes: which crowds get a second look, and with which zoom."""

import numpy as np
import pytest

from yolc_ros.boxes import ScoredBoxes
from yolc_ros.looks.bands import Band
from yolc_ros.looks.crowds import CrowdConfig, find_crowds, pixels_per_metre
from yolc_ros.network.config import ObjectSizes

SIZES = ObjectSizes(smallest=10.0, best=20.0, largest=40.0, metres=(4.0, 1.0))
SIZE = (1600, 1000)
WHOLE = (Band(0, 1000, 1.0),)


def boxes(centres, per_metre, label=0, score=0.5) -> ScoredBoxes:
    """Boxes of objects of their typical size, where a metre has so many image pixels."""
    centres = np.asarray(centres, np.float32).reshape(-1, 2)
    half = per_metre * SIZES.metres[label] / 2
    count = len(centres)
    return ScoredBoxes(
        np.hstack([centres - half, centres + half]).astype(np.float32),
        np.full(count, score, np.float32),
        np.full(count, label, np.int64),
    )


def together(*parts: ScoredBoxes) -> ScoredBoxes:
    return ScoredBoxes(*(np.concatenate([getattr(p, n) for p in parts]) for n in ("boxes", "scores", "labels")))


def grid(x0, y0, columns=5, rows=4, step=30):
    return [(x0 + step * i, y0 + step * j) for i in range(columns) for j in range(rows)]


def test_a_box_of_typical_size_tells_the_pixels_per_metre():
    found = together(boxes([(50, 50)], 8.0, label=0), boxes([(90, 50)], 8.0, label=1))
    np.testing.assert_allclose(pixels_per_metre(found, SIZES), 8.0, rtol=1e-5)


@pytest.mark.parametrize("per_metre", [5.0, 8.0, 11.0])
def test_the_zoom_brings_small_objects_to_the_best_size(per_metre):
    regions = find_crowds(boxes(grid(400, 300), per_metre), WHOLE, SIZE, SIZES, CrowdConfig(largest_zoom=8.0))
    if per_metre >= SIZES.smallest:
        assert regions == ()
        return
    (region,) = regions
    assert region.scale * per_metre == pytest.approx(SIZES.best, rel=1e-4)
    assert region.expected == 20
    assert region.x0 <= 400 - 2 * per_metre
    assert region.y1 >= 390 + 2 * per_metre


def test_objects_of_a_fitting_size_get_no_second_look_however_dense():
    for per_metre in (12.0, 25.0, 60.0):
        assert find_crowds(boxes(grid(300, 300, 8, 8), per_metre), WHOLE, SIZE, SIZES, CrowdConfig()) == ()


def test_the_scale_of_the_first_look_counts():
    found = boxes(grid(400, 300), 15.0)
    assert find_crowds(found, WHOLE, SIZE, SIZES, CrowdConfig()) == ()
    (region,) = find_crowds(found, (Band(0, 1000, 0.5),), SIZE, SIZES, CrowdConfig())
    assert region.scale * 15.0 == pytest.approx(SIZES.best, rel=1e-4)


def test_a_large_object_limits_the_zoom():
    found = together(boxes(grid(400, 300), 5.0), boxes([(430, 330)], 20.0))
    (region,) = find_crowds(found, WHOLE, SIZE, SIZES, CrowdConfig(largest_zoom=8.0))
    assert region.scale == pytest.approx(SIZES.largest / 20.0, rel=1e-4)


def test_the_region_with_the_most_small_objects_comes_first_and_few_or_faint_ones_do_not_count():
    many, some = boxes(grid(300, 200, 6, 5), 6.0), boxes(grid(1200, 700, 3, 2), 6.0)
    one, faint = boxes([(1500, 100)], 6.0), boxes(grid(100, 800), 6.0, score=0.15)
    regions = find_crowds(together(some, many, one, faint), WHOLE, SIZE, SIZES, CrowdConfig(regions=5))
    assert [region.expected for region in regions] == [30, 6]
    assert len(find_crowds(together(some, many), WHOLE, SIZE, SIZES, CrowdConfig(regions=1))) == 1


def test_a_zoom_that_gains_nothing_is_left_out():
    found = boxes(grid(400, 300), 6.0)
    assert find_crowds(found, WHOLE, SIZE, SIZES, CrowdConfig(largest_zoom=1.2)) == ()
    assert find_crowds(found, WHOLE, SIZE, SIZES, CrowdConfig(), max_side=100) == ()
    assert find_crowds(boxes([], 6.0), WHOLE, SIZE, SIZES, CrowdConfig()) == ()


@pytest.mark.parametrize(("useful", "zoom"), [(2.0, 1.5), (1.4, 1.4), (0.7, None)])
def test_a_region_is_enlarged_as_far_as_it_is_useful(useful, zoom):
    """A zoom of 0.7 gains nothing after a first look at 0.6."""
    found = boxes(grid(400, 300), 6.0)
    regions = find_crowds(found, (Band(0, 1000, 0.6),), SIZE, SIZES, CrowdConfig(), useful_zoom=useful)
    assert [region.scale for region in regions] == ([] if zoom is None else [pytest.approx(zoom)])
