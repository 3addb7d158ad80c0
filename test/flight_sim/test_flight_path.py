"""Flight paths."""

import math
from typing import get_args

import numpy as np
import pytest

from flight_sim.flight_path import FlightKind, FlightPathOptions, plan_flight_path


@pytest.mark.parametrize("kind", get_args(FlightKind))
def test_paths_are_smooth_and_stay_above_the_floor(kind: FlightKind) -> None:
    options = FlightPathOptions(kind=kind, duration_s=40.0, altitude_m=30.0, speed_mps=6.0)
    for seed in range(4):
        path = plan_flight_path(seed, (100.0, 50.0), 28.0, options)
        assert path.duration_s == pytest.approx(40.0)
        assert path.position[:, 2].min() >= 28.0 - 1e-9
        velocity = np.diff(path.position, axis=0) / np.diff(path.stamps)[:, None]
        assert np.linalg.norm(velocity, axis=1).max() < 10.0
        assert np.abs(np.diff(velocity, axis=0)).max() < 1.0  # m/s between samples
        assert np.abs(np.diff(path.angles, axis=0)).max() < math.radians(9.0)


def test_a_loop_returns_to_its_beginning() -> None:
    options = FlightPathOptions(kind="loop", duration_s=90.0, line_m=80.0, speed_mps=6.0, variation=0.0)
    path = plan_flight_path(1, (0.0, 0.0), 10.0, options)
    perimeter = 2 * 80.0 * 1.6
    later = path.position[:, :2][int(0.8 * perimeter / 6.0 / 0.05) :]
    assert np.linalg.norm(later - path.position[0, :2], axis=1).min() < 1.0


def test_the_camera_of_an_orbit_points_to_the_centre() -> None:
    path = plan_flight_path(0, (20.0, 30.0), 10.0, FlightPathOptions(kind="orbit", radius_m=40.0, pitch_deg=-45.0))
    for stamp in (3.0, 20.0, 50.0):
        pose = path.pose_at(stamp)
        towards = np.array([20.0, 30.0]) - pose[:2, 3]
        heading = pose[:2, 2] / np.linalg.norm(pose[:2, 2])
        assert heading @ towards / np.linalg.norm(towards) > 0.99


def test_paths_depend_on_the_seed() -> None:
    one, same, other = (plan_flight_path(seed, (0.0, 0.0), 5.0) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.position, same.position)
    assert not np.array_equal(one.position, other.position)
