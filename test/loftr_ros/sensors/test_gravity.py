"""Gravity and the expected motion, from orientation, gimbal, odometry and the last motion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flight_sim.camera import camera_pose
from loftr_ros.sensors.gravity import gravity_in_camera, motion_prior, steady_motion
from loftr_ros.sensors.odometry import odometry_motion
from loftr_ros.sensors.readings import OdometryPose
from loftr_ros.sensors.settings import Mount
from loftr_ros.sensors.suite import FrameReadings
from perception_common.geometry import compose, inverse, so3_exp, transform
from perception_common.sensors.buffer import Aged
from perception_common.sensors.readings import Orientation

turns = st.lists(st.floats(-3, 3), min_size=3, max_size=3).map(lambda w: so3_exp(np.array(w)))
steps = st.lists(st.floats(-50, 50), min_size=3, max_size=3).map(np.array)


def oriented(rotation, frame="imu", covariance=None, age=0.0):
    covariance = np.zeros((3, 3)) if covariance is None else covariance
    return FrameReadings(0, orientation=Aged(Orientation(0, rotation, covariance, frame), age))


def moved(T, covariance=None, frame="odom", age=0.0):
    covariance = np.zeros((6, 6)) if covariance is None else covariance
    return FrameReadings(0, odometry=Aged(OdometryPose(0, T, covariance, frame, "base"), age))


@given(turns, turns)
def test_gravity_points_down_in_the_world_for_any_mount(rotation_imu, rotation_camera):
    """R_world_camera times the direction is (0, 0, -1)."""
    found = gravity_in_camera(oriented(rotation_imu), Mount(R_imu_camera=rotation_camera))
    np.testing.assert_allclose(rotation_imu @ rotation_camera @ found.down, [0, 0, -1], atol=1e-9)


@given(st.floats(-90, 0), st.floats(0, 6))
def test_the_gimbal_pitch_gives_the_gravity_of_the_simulated_camera(pitch, yaw):
    pose = camera_pose(np.zeros(3), yaw, np.radians(pitch))
    found = gravity_in_camera(FrameReadings(0), Mount(gimbal_pitch=pitch))
    np.testing.assert_allclose(found.down, pose[:3, :3].T @ [0, 0, -1], atol=1e-9)


def test_the_sources_of_gravity_and_their_deviations():
    level = np.eye(3)
    one_degree = np.radians(1) ** 2 * np.eye(3)
    mount = Mount(R_imu_camera=so3_exp(np.array([np.pi, 0.0, 0.0])), gimbal_pitch=-45.0, camera_frame="camera")
    assert gravity_in_camera(FrameReadings(0), Mount()) is None
    assert gravity_in_camera(oriented(level), Mount()) is None  # the mount of the IMU is unknown
    known = gravity_in_camera(oriented(level, covariance=one_degree), mount)
    assert known.deviation == pytest.approx(np.radians(1))
    np.testing.assert_allclose(known.down, [0, 0, 1], atol=1e-9)
    np.testing.assert_allclose(gravity_in_camera(oriented(level, "camera"), mount).down, [0, 0, -1], atol=1e-9)
    assert gravity_in_camera(oriented(level, age=2.0), mount).source == "gimbal pitch"
    assert gravity_in_camera(oriented(level), mount).deviation == pytest.approx(np.radians(2))


@given(turns, steps, turns, steps, turns, steps)
def test_odometry_of_the_base_gives_the_motion_of_the_camera(R0, t0, R1, t1, Rm, tm):
    older, newer, mounted = transform(R0, t0), transform(R1, t1), transform(Rm, tm / 50)
    found = odometry_motion(moved(older), moved(newer), Mount(T_base_camera=mounted))
    expected = np.linalg.inv(older @ mounted) @ newer @ mounted
    np.testing.assert_allclose(found.T, expected, atol=1e-9)
    assert found.reason == ""


def test_the_covariance_of_a_displacement_is_the_growth_of_dead_reckoning_or_the_sum_of_both_fixes():
    T0, T1 = transform(so3_exp(np.array([0, 0, np.pi / 2])), np.zeros(3)), transform(np.eye(3), np.array([0, 4.0, 0]))
    mount = Mount(T_base_camera=np.eye(4))
    drift = (0.01 * 4) ** 2 + 0.02**2 * 4

    def along(before, after):
        """Variances (3,) along x, y, z of the older camera, which looks along y of the world with its x axis."""
        covariances = [np.diag([*values, 0, 0, 0]) for values in (before, after)]
        found = odometry_motion(moved(T0, covariances[0]), moved(T1, covariances[1]), mount)
        np.testing.assert_allclose(found.T[:3, 3], [4, 0, 0], atol=1e-12)
        return np.diag(found.covariance) - drift

    np.testing.assert_allclose(along([1.0, 1, 1], [1.2, 1.3, 1.4]), [0.3, 0.2, 0.4])
    np.testing.assert_allclose(along([1.0, 2, 3], [1.0, 2, 3]), [4, 2, 6])
    np.testing.assert_allclose(along([0.0, 0, 0], [0, 0, 0]), [0, 0, 0], atol=1e-12)


def test_unusable_odometry_has_a_reason():
    mount = Mount(T_base_camera=np.eye(4))
    assert odometry_motion(FrameReadings(0), moved(np.eye(4)), mount) is None
    assert "old" in odometry_motion(moved(np.eye(4), age=3.0), moved(np.eye(4)), mount).reason
    assert "no pose of the camera in base" in odometry_motion(moved(np.eye(4)), moved(np.eye(4)), Mount()).reason
    assert "frames" in odometry_motion(moved(np.eye(4)), moved(np.eye(4), frame="map"), mount).reason
    assert odometry_motion(moved(np.eye(4)), moved(np.eye(4)), Mount(camera_frame="base")).reason == ""


@given(turns, steps, st.floats(0.1, 2), st.floats(0.1, 2))
def test_a_steady_motion_scales_the_rotation_with_time_and_keeps_the_direction(rotation, translation, seconds, ahead):
    if np.linalg.norm(translation) < 1e-3:
        return
    motion = steady_motion(transform(rotation, translation), seconds, seconds)
    np.testing.assert_allclose(motion[:3, :3], rotation, atol=1e-9)
    np.testing.assert_allclose(motion[:3, 3], translation / np.linalg.norm(translation))
    half = steady_motion(transform(rotation, translation), seconds, seconds / 2)
    np.testing.assert_allclose(half[:3, :3] @ half[:3, :3], rotation, atol=1e-9)
    assert steady_motion(transform(rotation, np.zeros(3)), seconds, ahead) is None
    assert steady_motion(motion, 0.0, ahead) is None


def test_the_prior_prefers_odometry_to_the_last_motion():
    mount = Mount(T_base_camera=np.eye(4), gimbal_pitch=-90.0)
    last, seen = transform(np.eye(3), np.array([0, 1.0, 0])), transform(np.eye(3), np.array([3.0, 0, 0]))
    nothing = FrameReadings(0)
    prior = motion_prior(nothing, nothing, mount, expected=last)
    np.testing.assert_allclose(prior.down, [0, 0, 1], atol=1e-9)
    assert prior.motion is last
    prior = motion_prior(moved(np.eye(4)), moved(seen), mount, expected=last)
    np.testing.assert_allclose(prior.motion, compose(inverse(np.eye(4)), seen))
    stale = motion_prior(moved(np.eye(4), age=5.0), moved(seen), mount, expected=last)
    assert stale.motion is last
    empty = motion_prior(nothing, nothing, Mount())
    assert empty.down is None
    assert empty.motion is None
