"""The choice of the right angle from an expected rotation, and what sensors and images expect."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_sim.camera import camera_pose
from loftr_ros.results import KeyframeInfo
from loftr_ros.sensors.readings import OdometryPose
from loftr_ros.sensors.suite import FrameReadings
from loftr_ros.turning.expectation import expected_turns, in_plane_angle, nearest_turns, sensed_rotation
from loftr_ros.turning.following import matched_angle
from loftr_ros.turning.quarter_turns import turn_points, turn_rotation
from perception_common.geometry import so3_exp, transform
from perception_common.sensors.buffer import Aged
from perception_common.sensors.readings import Orientation

headings = st.floats(-3.1, 3.1)
OLDER = KeyframeInfo(0, 0, "camera", 640, 480, None)
NEWER = replace(OLDER, id=1, stamp_ns=10**9)


def about_z(angle):
    return so3_exp(np.array([0.0, 0.0, angle]))


def disagreement(rotation, turns):
    """Sum of squared distances of the image axes of the older camera and of the turned newer one."""
    turned = rotation @ turn_rotation(turns).T
    return np.sum((turned - np.eye(3))[:2, :2] ** 2)


@pytest.mark.parametrize("turned_by", range(4))
def test_a_turned_image_is_turned_back(turned_by):
    """The newer camera is the older one with its image turned, so p_newer = R_turn p_older."""
    assert expected_turns(turn_rotation(turned_by).T) == -turned_by % 4


@given(headings, st.lists(st.floats(-0.6, 0.6), min_size=2, max_size=2))
def test_the_nearest_right_angle_brings_the_axes_of_both_images_closest(heading, tilt):
    rotation = about_z(heading) @ so3_exp(np.array([*tilt, 0.0]))
    found = nearest_turns(in_plane_angle(rotation))
    best = min(disagreement(rotation, turns) for turns in range(4))
    assert disagreement(rotation, found) == pytest.approx(best, abs=1e-6)


@given(headings)
def test_the_angle_of_a_rotation_in_the_image_plane_is_its_own(angle):
    assert in_plane_angle(about_z(angle)) == pytest.approx(angle, abs=1e-9)


@pytest.mark.parametrize("pitch", [-90, -60, -40])
def test_a_drone_that_flies_back_needs_a_half_turn(pitch):
    there, back = (camera_pose(np.zeros(3), yaw, np.radians(pitch))[:3, :3] for yaw in (0.3, 0.3 + np.pi))
    assert expected_turns(there.T @ back) == 2


def test_cameras_that_look_in_opposite_directions_expect_nothing():
    opposite = np.diag([1.0, -1.0, -1.0])
    assert in_plane_angle(opposite) is None
    assert expected_turns(opposite) is None
    assert expected_turns(opposite, default=3) == 3
    assert expected_turns(None, kept=1, default=None) is None


@pytest.mark.parametrize(("degrees", "turns"), [(0, 0), (55, 0), (65, 3), (90, 3), (-55, 0), (-65, 1), (180, 2)])
def test_kept_features_serve_where_they_are_nearly_as_good(degrees, turns):
    assert expected_turns(about_z(np.radians(degrees)), kept=0) == turns


@given(st.integers(0, 3), st.integers(0, 10))
def test_matches_tell_the_angle_even_with_wrong_ones_among_them(turns, wrong):
    rng = np.random.default_rng(turns)
    older = rng.uniform([0, 0], [639, 479], (40, 2))
    newer = turn_points(older, turns, (640, 480)) + rng.normal(0, 1, (40, 2))
    newer[:wrong] = rng.uniform([0, 0], [479, 479], (wrong, 2))
    assert nearest_turns(matched_angle(older, newer)) == -turns % 4


def test_too_few_matches_tell_no_angle():
    assert matched_angle(np.zeros((1, 2)), np.ones((1, 2))) is None
    assert matched_angle(np.zeros((5, 2)), np.ones((5, 2))) is None


def odometry(rotation, age=0.0):
    return FrameReadings(
        0, odometry=Aged(OdometryPose(0, transform(rotation, np.ones(3)), np.zeros((6, 6)), "odom", "base"), age)
    )


def imu(rotation, yaw_variance=0.0, frame="base"):
    covariance = np.diag([0.0, 0.0, yaw_variance])
    return FrameReadings(0, orientation=Aged(Orientation(0, rotation, covariance, frame), 0.0))


@pytest.mark.parametrize("reading", [odometry, imu])
@pytest.mark.parametrize("source", ["transform", "gimbal pitch"])
def test_odometry_and_imu_give_the_rotation_of_the_simulated_camera(reading, source):
    """The vehicle is level and heads where the camera looks; its mount is a transform, or the pitch of the gimbal."""
    pitch = -70.0
    yaws = 0.4, 2.9
    cameras = [camera_pose(np.zeros(3), yaw, np.radians(pitch))[:3, :3] for yaw in yaws]
    vehicles = [about_z(yaw) for yaw in yaws]
    mount = transform(vehicles[0].T @ cameras[0], np.zeros(3)) if source == "transform" else None
    found = sensed_rotation(
        replace(OLDER, T_base_camera=mount),
        NEWER,
        reading(vehicles[0]),
        reading(vehicles[1]),
        gimbal_pitch=pitch if source == "gimbal pitch" else None,
    )
    np.testing.assert_allclose(found, cameras[0].T @ cameras[1], atol=1e-9)


def test_a_gimbal_that_turns_is_seen_in_the_transforms():
    before, after = (transform(about_z(angle), np.zeros(3)) for angle in (0.0, np.pi / 2))
    found = sensed_rotation(
        replace(OLDER, T_base_camera=before), replace(NEWER, T_base_camera=after), imu(np.eye(3)), imu(np.eye(3))
    )
    np.testing.assert_allclose(found, about_z(np.pi / 2), atol=1e-9)


def test_an_orientation_of_the_camera_itself_needs_no_mount():
    found = sensed_rotation(OLDER, NEWER, imu(np.eye(3), frame="camera"), imu(about_z(1.0), frame="camera"))
    np.testing.assert_allclose(found, about_z(1.0), atol=1e-9)


def test_odometry_is_preferred_and_doubtful_readings_expect_nothing():
    mounted = replace(OLDER, T_base_camera=np.eye(4))
    both = replace(imu(about_z(1.0)), odometry=odometry(about_z(2.0)).odometry)
    start = replace(imu(np.eye(3)), odometry=odometry(np.eye(3)).odometry)
    np.testing.assert_allclose(sensed_rotation(mounted, NEWER, start, both), about_z(2.0), atol=1e-9)
    old = replace(imu(about_z(1.0)), odometry=odometry(about_z(2.0), age=9.0).odometry)
    np.testing.assert_allclose(sensed_rotation(mounted, NEWER, start, old), about_z(1.0), atol=1e-9)
    assert sensed_rotation(mounted, NEWER, imu(np.eye(3)), imu(np.eye(3), yaw_variance=1e6)) is None
    assert sensed_rotation(OLDER, NEWER, imu(np.eye(3)), imu(np.eye(3))) is None  # the mount is unknown
    assert sensed_rotation(mounted, NEWER, FrameReadings(0), FrameReadings(0)) is None
