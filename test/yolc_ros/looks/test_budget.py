"""Costs and what fits into a budget."""

import numpy as np
import pytest

from yolc_ros.clusters import Region
from yolc_ros.looks.bands import band_pixels, whole
from yolc_ros.looks.budget import (
    REMEMBERED,
    SMALLEST_SHARE,
    Costs,
    LeftOut,
    affordable_regions,
    affordable_share,
    input_pixels,
    reduced,
)

KNOWN = Costs(((1e6, 1.0), (4e6, 4.0)))  # a second for a million pixels
REGIONS = tuple(Region(0, 0, 400, 250, 9.0, 2.0) for _ in range(3))  # 0.4 seconds each


def test_a_cost_is_a_high_quantile_of_the_similar_looks():
    assert Costs().seconds(1e6) == 0
    assert KNOWN.seconds(2e6) == pytest.approx(2.0)
    small_and_large = Costs(((1e4, 0.1), (1e6, 1.0)))
    assert small_and_large.seconds(1e6) == pytest.approx(1.0)
    rng = np.random.default_rng(3)
    costs = Costs()
    for seconds in rng.uniform(1, 2, 3 * REMEMBERED):
        costs = costs.with_look(1e6, float(seconds))
    assert len(costs.looks) == REMEMBERED
    assert 1.8 < costs.seconds(1e6) < 2.0


def test_the_first_look_is_reduced_to_what_fits():
    bands = whole(1280, 1.0)  # of an image of 1600 x 1280 pixels
    assert affordable_share(KNOWN, 3.0, bands, 1600) == 1.0
    share = affordable_share(KNOWN, 1.0, bands, 1600)
    assert 0.9 < KNOWN.seconds(band_pixels(reduced(bands, share), 1600)) <= 1.0
    assert affordable_share(KNOWN, 1e-6, bands, 1600) == SMALLEST_SHARE
    assert affordable_share(Costs(), 0.1, bands, 1600) == 1.0


def test_the_padding_of_inputs_counts():
    """640 x 360 pixels reduced to .51 and .5: 326 x 184 become 352 x 192, and 320 x 180 become 320 x 192."""
    assert [band_pixels(whole(360, scale), 640) for scale in (0.51, 0.5)] == [352 * 192, 320 * 192]
    assert input_pixels(Region(10, 20, 110, 60, 3.0, 1.5)) == 160 * 64


def test_regions_fit_in_their_order_and_the_last_one_with_a_smaller_zoom():
    kept, left_out = affordable_regions(KNOWN, 10.0, REGIONS, 1.0, 1.25)
    assert (kept, left_out) == (REGIONS, LeftOut())
    kept, left_out = affordable_regions(KNOWN, 0.7, REGIONS, 1.0, 1.25)
    assert [region.scale for region in kept] == [2.0, pytest.approx(1.67, abs=0.02)]  # of 672 x 416 pixels
    assert left_out == LeftOut(regions=1, reduced=1)
    assert sum(KNOWN.seconds(input_pixels(region)) for region in kept) <= 0.7
    kept, left_out = affordable_regions(KNOWN, -0.1, REGIONS, 1.0, 1.25)
    assert (kept, left_out) == ((), LeftOut(regions=3))


def test_what_was_left_out_is_said():
    assert str(LeftOut()) == "nothing"
    assert str(LeftOut(2, 1, 0.5)) == "first look at 0.50 of its scale, 2 regions, zoom of 1 regions reduced"
