"""Smooth flights."""

import math
from typing import get_args

import numpy as np
import pytest

from flight_sim.trajectory import FlightKind, TrajectoryOptions, fly


@pytest.mark.parametrize("kind", get_args(FlightKind))
def test_flights_are_smooth_and_stay_above_the_floor(kind: FlightKind) -> None:
    options = TrajectoryOptions(kind=kind, duration_s=40.0, altitude_m=30.0, speed_mps=6.0)
    for seed in range(4):
        flight = fly(seed, (100.0, 50.0), 28.0, options)
        assert flight.duration_s == pytest.approx(40.0)
        assert flight.position[:, 2].min() >= 28.0 - 1e-9
        velocity = np.diff(flight.position, axis=0) / np.diff(flight.stamps)[:, None]
        assert np.linalg.norm(velocity, axis=1).max() < 10.0
        assert np.abs(np.diff(velocity, axis=0)).max() < 1.0  # m/s between samples
        assert np.abs(np.diff(flight.angles, axis=0)).max() < math.radians(9.0)


def test_a_loop_comes_back_with_the_same_heading() -> None:
    options = TrajectoryOptions(kind="loop", duration_s=90.0, line_m=80.0, speed_mps=6.0, roll=0.0)
    flight = fly(1, (0.0, 0.0), 10.0, options)
    perimeter = 2 * 80.0 * 1.6
    later = flight.position[:, :2][int(0.8 * perimeter / 6.0 / 0.05) :]
    assert np.linalg.norm(later - flight.position[0, :2], axis=1).min() < 1.0


def test_an_orbit_looks_inwards() -> None:
    flight = fly(0, (20.0, 30.0), 10.0, TrajectoryOptions(kind="orbit", radius_m=40.0, pitch_deg=-45.0))
    for stamp in (3.0, 20.0, 50.0):
        pose = flight.pose_at(stamp)
        towards = np.array([20.0, 30.0]) - pose[:2, 3]
        heading = pose[:2, 2] / np.linalg.norm(pose[:2, 2])
        assert heading @ towards / np.linalg.norm(towards) > 0.99


def test_the_seed_decides() -> None:
    one, same, other = (fly(seed, (0.0, 0.0), 5.0) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.position, same.position)
    assert not np.array_equal(one.position, other.position)
