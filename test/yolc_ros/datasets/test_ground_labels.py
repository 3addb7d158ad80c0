"""The view of the ground in image entries of a COCO file."""

import math

import numpy as np
import pytest

from perception_common.errors import InputError
from yolc_ros.datasets.views import read_view

ENTRY = {"width": 640, "height": 512, "altitude_m": 80.0, "pitch_deg": 50}


def test_pitch_and_field_of_view_make_a_view():
    view = read_view(ENTRY, 60.0)
    assert view is not None
    assert view.altitude == 80.0
    np.testing.assert_allclose(view.down, (0, math.cos(math.radians(50)), math.sin(math.radians(50))), atol=1e-12)
    assert view.focal[0] == pytest.approx(320 / math.tan(math.radians(30)))
    assert view.centre == (320.0, 256.0)


def test_gravity_and_focal_length_of_the_entry_come_first():
    view = read_view({**ENTRY, "down": [0.0, 0.0, 1.0], "focal_px": 500}, 60.0)
    assert view is not None
    assert (view.down, view.focal) == ((0.0, 0.0, 1.0), (500.0, 500.0))


def test_without_altitude_tilt_or_camera_there_is_none():
    for name in ("altitude_m", "pitch_deg"):
        assert read_view({key: value for key, value in ENTRY.items() if key != name}, 60.0) is None
    assert read_view(ENTRY, None) is None


@pytest.mark.parametrize("wrong", [{"altitude_m": -3}, {"focal_px": 0}, {"down": [0, 0, 9]}, {"altitude_m": math.nan}])
def test_values_that_cannot_be_are_refused(wrong):
    with pytest.raises(InputError, match="cannot be"):
        read_view({**ENTRY, **wrong}, 60.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"altitude_m": 10**400},
        {"altitude_m": math.inf},
        {"focal_px": 10**400},
        {"focal_px": math.inf},
        {"altitude_m": "high"},
        {"pitch_deg": [50]},
        {"pitch_deg": 1e999},
        {"down": [0, 1]},
        {"down": {"x": 1}},
    ],
)
def test_an_entry_that_is_no_number_is_refused(wrong):
    with pytest.raises(InputError, match="has a"):
        read_view({**ENTRY, **wrong}, 60.0)
