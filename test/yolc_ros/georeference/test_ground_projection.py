"""From pixels to the ground: closed forms, round trips, and covariances against Monte Carlo."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flight_sim.camera import camera_pose
from perception_common.cameras.camera import Camera
from perception_common.geometry import so3_exp
from yolc_ros.georeference.camera_state import CameraState
from yolc_ros.georeference.errors import ATTITUDE, ERRORS, FOOTING, POSITION, TIME, VERTICAL, ErrorModel
from yolc_ros.georeference.ground import FlatGround
from yolc_ros.georeference.projection import Status, errors_at, project, to_pixels

CAMERA = Camera.from_matrix(
    np.array([[1000.0, 0, 959.5], [0, 1010.0, 539.5], [0, 0, 1]]), 1920, 1080, [-0.03, 0.008, 0.0004, -0.0003, 0]
)
PINHOLE = Camera.from_matrix(CAMERA.matrix, 1920, 1080)


def state(tilt=60.0, yaw=0.7, roll=0.05, position=(3.0, -8.0, 50.0), follows=True, scale=1.0, **changes):
    pose = camera_pose(np.array(position), yaw, math.radians(-tilt), roll)
    errors = ErrorModel(attitude=scale, altitude=0.02 * scale, position=1.5 * scale, time=0.02 * scale)
    fields = {
        "position": pose[:3, 3],
        "rotation": pose[:3, :3],
        "ground": FlatGround(0.0),
        "follows": follows,
        "covariance": errors.covariance(errors.altitude * position[2]),
        "velocity": np.array([6.0, -4.0, 1.0]),
        "rates": np.array([0.1, -0.05, 0.2]),
    }
    return CameraState(**(fields | changes))


def places(state, pixels, camera=CAMERA, noise_px=2.0, footing_px=0.0, max_range=1e4):
    pixels = np.asarray(pixels, float).reshape(-1, 2)
    footing = np.full(len(pixels), footing_px)
    return project(state, camera, pixels, noise_px=noise_px, footing_px=footing, max_range=max_range)


def test_nadir_pixels_lie_at_the_altitude_times_the_ray():
    down = state(tilt=90.0, yaw=math.pi / 2, roll=0.0)  # the top of the image shows the north
    found = places(down, [[959.5, 539.5], [1959.5, 539.5], [959.5, 1549.5]], PINHOLE)
    np.testing.assert_allclose(found.places, [[3, -8, 0], [53, -8, 0], [3, -58, 0]], atol=1e-9)


def test_the_centre_of_an_oblique_view_lies_ahead_by_the_cotangent_of_the_tilt():
    found = places(state(tilt=30.0, yaw=0.0, roll=0.0), [[959.5, 539.5]], PINHOLE)
    np.testing.assert_allclose(found.places, [[3 + 50 / math.tan(math.radians(30)), -8, 0]], atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    x=st.floats(0, 1919),
    y=st.floats(0, 1079),
    tilt=st.floats(35, 90),
    yaw=st.floats(-3, 3),
    altitude=st.floats(2, 150),
)
def test_pixels_go_to_the_ground_and_back(x, y, tilt, yaw, altitude):
    where = state(tilt, yaw, position=(10.0, 20.0, altitude), scale=0.1)
    found = places(where, [[x, y]])
    assert found.status.tolist() == [Status.LOCATED]
    assert abs(found.places[0, 2]) < 1e-9
    np.testing.assert_allclose(to_pixels(where, CAMERA, found.places), [[x, y]], atol=0.01)


@pytest.mark.parametrize("tilt", [90.0, 60.0, 35.0])
@pytest.mark.parametrize("follows", [True, False])
def test_covariances_are_those_of_perturbed_cameras(tilt, follows):
    """All errors at once, drawn small: what they move is measured by projecting with each perturbed camera."""
    scale, pixel = 0.05, np.array([[700.0, 400.0]])
    exact = state(tilt, follows=follows, scale=scale)
    found = places(exact, pixel, noise_px=0.1, footing_px=0.2)
    rng = np.random.default_rng(1)
    moved = []
    for _ in range(3000):
        e = np.sqrt(exact.covariance.diagonal()) * rng.normal(size=FOOTING.start)
        seconds = e[TIME]
        climb = seconds * exact.velocity[2]
        height = e[POSITION][2] + climb - (e[VERTICAL] + climb) if follows else e[VERTICAL]
        truth = replace(
            exact,
            position=exact.position + e[POSITION] + seconds * exact.velocity,
            rotation=so3_exp(seconds * exact.rates) @ exact.rotation @ so3_exp(e[ATTITUDE]),
            ground=FlatGround(height),
        )
        noisy = pixel + rng.normal(size=2) * math.hypot(0.1, 0.2)
        moved.append(places(truth, noisy).places[0])
    sampled = np.cov(np.array(moved).T)
    expected = found.covariances[0]
    scales = np.sqrt(expected.diagonal() + 1e-12)
    np.testing.assert_allclose(sampled / np.outer(scales, scales), expected / np.outer(scales, scales), atol=0.09)


@pytest.mark.parametrize("error", range(ERRORS))
def test_derivatives_by_each_error_are_those_of_finite_differences(error):
    exact = state(50.0)
    found = places(exact, [[1200.0, 700.0]], footing_px=3.0)
    deviations = np.append(np.sqrt(exact.covariance.diagonal()), [3.0, 3.0])
    step = 1e-4 * deviations * (np.arange(ERRORS) == error)
    moved = replace(
        exact,
        position=exact.position + step[POSITION] + step[TIME] * exact.velocity,
        rotation=so3_exp(step[TIME] * exact.rates) @ exact.rotation @ so3_exp(step[ATTITUDE]),
        ground=FlatGround(step[POSITION][2] - step[VERTICAL]),
    )
    difference = places(moved, [[1200.0, 700.0] + step[FOOTING]]).places[0] - found.places[0]
    np.testing.assert_allclose(found.errors[0, :, error], difference / 1e-4, rtol=2e-3, atol=2e-4)


def test_no_place_above_the_horizon_or_too_near_it():
    level = state(tilt=10.0, yaw=0.0, roll=0.0)
    rows = 539.5 - 1010 * np.tan(np.radians([-20.0, -2.0, 11.0, 20.0]))  # degrees above the optical axis
    found = places(level, np.column_stack([np.full(4, 959.5), rows]), PINHOLE)
    assert found.status.tolist() == [Status.LOCATED, Status.LOCATED, Status.ABOVE_HORIZON, Status.ABOVE_HORIZON]
    assert np.isnan(found.places[2:]).all()
    assert np.isnan(found.covariances[2:]).all()
    assert "above the horizon" in found.reasons[2]
    doubtful = places(state(tilt=10.0, yaw=0.0, roll=0.0, scale=2.0), [[959.5, rows[1]]], PINHOLE)
    assert "grazes" in doubtful.reasons[0]
    far = places(level, [[959.5, rows[1]]], PINHOLE, max_range=100.0)
    assert "beyond 100 m" in far.reasons[0]


def test_a_pixel_without_inverse_distortion_has_no_place():
    odd = Camera.from_matrix(CAMERA.matrix, 1920, 1080, [-0.9, 0.0, 0.0, 0.0, 0.0])
    found = places(state(90.0), [[5.0, 5.0]], odd)
    assert found.status.tolist() == [Status.ABOVE_HORIZON]
    assert "distortion" in found.reasons[0]


def test_without_a_position_places_hold_from_the_point_below_the_camera():
    found = places(state(60.0, position=(0.0, 0.0, 50.0), has_position=False), [[959.5, 539.5]])
    assert found.status.tolist() == [Status.POSITION_UNKNOWN]
    assert found.reasons == ("no position of the vehicle",)
    assert found.located.all()


def test_errors_are_taken_at_the_better_place():
    where = state(40.0)
    points = places(where, [[900.0, 200.0], [900.0, 800.0]])
    nearer = places(where, [[900.0, 300.0]])
    known = np.array([nearer.places[0], [np.nan] * 3])
    found = errors_at(where, CAMERA, points, known, noise_px=2.0, footing_px=np.zeros(2), max_range=1e4)
    np.testing.assert_allclose(found.errors[0], nearer.errors[0], rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(found.errors[1], points.errors[1])
    np.testing.assert_array_equal(found.places, points.places)


def test_a_rectified_stereo_camera_gives_the_same_places_as_its_rays_in_the_world():
    R = so3_exp(np.array([0.02, -0.03, 0.01]))
    stereo = replace(CAMERA, R=tuple(R.ravel()), K_rectified=(900.0, 0, 950, 0, 900, 530, 0, 0, 1))
    pixels = [[300.0, 900.0], [1500.0, 600.0]]
    np.testing.assert_allclose(
        places(state(70.0), pixels, stereo).places, places(state(70.0), pixels).places, atol=1e-6
    )
    where = state(70.0)
    np.testing.assert_allclose(to_pixels(where, stereo, places(where, pixels).places), pixels, atol=0.01)
