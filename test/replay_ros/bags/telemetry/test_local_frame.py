"""Positions on the ellipsoid against the lengths of its arcs, and the telemetry of a flight in that frame."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay_ros.bags.telemetry.flight import describe, in_local_frame
from replay_ros.bags.telemetry.local_frame import FLATTENING, SEMI_MAJOR_AXIS, east_north, ecef
from replay_ros.bags.telemetry.readings import CameraAngles, Position, Telemetry


@given(
    latitude=st.floats(-80, 80),
    longitude=st.floats(-180, 180),
    north=st.floats(-1e-3, 1e-3),
    east=st.floats(-1e-3, 1e-3),
)
def test_small_steps_are_the_arcs_of_meridian_and_parallel(latitude, longitude, north, east):
    """Radii of curvature of the meridian and the prime vertical (Torge, Geodesy, section 4.1)."""
    e2 = FLATTENING * (2 - FLATTENING)
    w = math.sqrt(1 - e2 * math.sin(math.radians(latitude)) ** 2)
    meridian, vertical = SEMI_MAJOR_AXIS * (1 - e2) / w**3, SEMI_MAJOR_AXIS / w
    found = east_north(latitude + north, longitude + east, (latitude, longitude))
    expected = (
        math.radians(east) * vertical * math.cos(math.radians(latitude)),
        math.radians(north) * meridian,
    )
    assert found == pytest.approx(expected, abs=0.02)  # the earth curves by so much in 150 m


def test_known_points_of_the_ellipsoid():
    np.testing.assert_allclose(ecef(0, 0, 10), [SEMI_MAJOR_AXIS + 10, 0, 0])
    np.testing.assert_allclose(ecef(90, 0, 0), [0, 0, SEMI_MAJOR_AXIS * (1 - FLATTENING)], atol=1e-6)
    np.testing.assert_allclose(ecef(0, 90, 0), [0, SEMI_MAJOR_AXIS, 0], atol=1e-6)


def reading(latitude, *, relative=None, altitude=None):
    angles = CameraAngles(0.0, -90.0, 0.0, "horizon", "a test", 1.0, 5.0)
    return Telemetry(position=Position(latitude, 10.0, altitude, 3.0, 30.0), relative_altitude=relative, angles=angles)


def test_heights_count_from_the_take_off():
    frames = in_local_frame({"a": reading(46.0, relative=40.0, altitude=300.0), "b": reading(46.0001, relative=41.0)})
    assert frames["a"].location.tolist() == [0.0, 0.0, 40.0]
    assert frames["b"].location[1] == pytest.approx(11.12, abs=0.01)  # 1e-4 degrees of a meridian at 46 degrees
    assert frames["b"].height == 41.0
    assert frames["b"].height_deviation == pytest.approx(math.hypot(0.5, 0.82))
    assert frames["a"].location_deviations.tolist() == pytest.approx([3.0, 3.0, math.hypot(0.5, 0.8)])
    np.testing.assert_allclose(np.sqrt(np.diag(frames["a"].rotation_covariance)), np.radians([1.0, 1.0, 5.0]))


def test_without_any_take_off_heights_count_from_the_first_picture_that_states_one():
    readings = {"a": reading(46.0), "b": reading(46.0, altitude=300.0), "c": reading(46.0, altitude=310.0)}
    frames = in_local_frame(readings)
    assert (frames["b"].location[2], frames["c"].location[2]) == (0.0, 10.0)
    assert frames["b"].height is None  # it says nothing of the ground
    assert frames["a"].location is None


def test_problems_are_said_once_with_their_count():
    readings = {name: Telemetry(problems=("its GPS had no fix",)) for name in ("a", "b")}
    notes = describe({**readings, "c": reading(46.0)})
    assert "2 of 3 pictures, as a: its GPS had no fix" in notes
