"""The view of the ground and the bands made of it; the oracle projects points of the ground."""

import math
from itertools import pairwise

import numpy as np
import pytest

from yolc_ros.looks.bands import LARGEST_ENLARGEMENT, Band, GroundView, ground_bands, scales_at
from yolc_ros.network.config import ObjectSizes

SIZES = ObjectSizes(smallest=14.0, best=22.0, largest=40.0, metres=(4.0,))
FOCAL, WIDTH, HEIGHT = 900.0, 1280, 720


def view(altitude: float, below_horizon_deg: float, roll_deg: float = 0.0) -> GroundView:
    pitch, roll = math.radians(below_horizon_deg), math.radians(roll_deg)
    down = (math.sin(roll) * math.cos(pitch), math.cos(roll) * math.cos(pitch), math.sin(pitch))
    return GroundView(altitude, down, (FOCAL, FOCAL), (WIDTH / 2, HEIGHT / 2))


def project(seen: GroundView, point: np.ndarray) -> np.ndarray:
    """Pixels of a point (3,) in the optical frame."""
    return point[:2] / point[2] * FOCAL + np.array(seen.centre)


@pytest.mark.parametrize(("below", "roll"), [(90, 0), (60, 0), (35, 0), (50, 12)])
def test_pixels_per_metre_are_those_of_a_projected_metre(below, roll):
    seen = view(50.0, below, roll)
    down = np.array(seen.down)
    for x, y in [(640, 360), (200, 700), (1100, 500)]:
        ray = np.array([(x - 640) / FOCAL, (y - 360) / FOCAL, 1.0])
        point = ray * 50.0 / (down @ ray)  # on the ground: 50 m below the camera
        beside = point + np.array([0.5, 0.0, 0.0])
        metre = np.linalg.norm(project(seen, beside) - project(seen, point - np.array([0.5, 0.0, 0.0])))
        assert seen.pixels_per_metre(x, y) == pytest.approx(metre, rel=1e-6)


def test_a_nadir_view_is_one_band_at_the_best_scale():
    for altitude in (15.0, 60.0):
        (band,) = ground_bands(view(altitude, 90), WIDTH, HEIGHT, SIZES)
        assert (band.y0, band.y1) == (0, HEIGHT)
        assert band.scale == pytest.approx(SIZES.best * altitude / FOCAL)


def test_a_band_is_enlarged_as_far_as_it_is_useful():
    seen = view(60.0, 90)
    (band,) = ground_bands(seen, WIDTH, HEIGHT, SIZES, useful_zoom=0.7)
    assert band.scale == pytest.approx(0.7)
    assert ground_bands(seen, WIDTH, HEIGHT, SIZES, useful_zoom=2.4) == ground_bands(seen, WIDTH, HEIGHT, SIZES)


def test_an_oblique_view_has_overlapping_bands_with_larger_scales_farther_away():
    seen = view(15.0, 30)
    bands = ground_bands(seen, WIDTH, HEIGHT, SIZES)
    assert len(bands) > 1
    assert bands[-1].y1 == HEIGHT
    assert all(upper.y1 > lower.y0 and upper.scale > lower.scale for upper, lower in pairwise(bands))
    per_metre = seen.pixels_per_metre(WIDTH / 2, np.arange(bands[0].y0, HEIGHT) + 0.5)
    scales = scales_at(bands, np.arange(bands[0].y0, HEIGHT) + 0.5)
    reachable = SIZES.best / per_metre < LARGEST_ENLARGEMENT
    assert reachable.any()
    seen_at = (per_metre * scales)[reachable]
    assert seen_at.min() > SIZES.best / 1.6
    assert seen_at.max() < 2 * SIZES.largest  # where bands overlap the finer one counts
    for upper, lower in pairwise(bands):
        assert upper.y1 - lower.y0 >= 9.0 * seen.pixels_per_metre(WIDTH / 2, (upper.y1 + lower.y0) / 2)


def test_the_input_is_limited_and_the_sky_is_left_out():
    bands = ground_bands(view(60.0, 15), WIDTH, HEIGHT, SIZES, max_side=960)
    assert all(band.scale * max(WIDTH, band.y1 - band.y0) <= 960 + 1e-6 for band in bands)
    horizon = HEIGHT / 2 - math.tan(math.radians(15)) * FOCAL
    assert bands[0].y0 > horizon
    (sky,) = ground_bands(view(60.0, -60), WIDTH, HEIGHT, SIZES)
    assert (sky.y0, sky.y1) == (0, HEIGHT)


def test_rows_have_the_largest_scale_that_shows_them():
    bands = (Band(10, 50, 2.0), Band(40, 90, 1.0))
    np.testing.assert_allclose(scales_at(bands, np.array([5.0, 20.0, 45.0, 60.0, 95.0])), [0, 2, 2, 1, 0])
