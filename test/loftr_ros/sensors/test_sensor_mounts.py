"""An IMU or a source of odometry that sits anywhere on the vehicle tells the same as one with the axes of the base."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from loftr_ros.results import KeyframeInfo
from loftr_ros.sensors.camera_mount import CameraMount
from loftr_ros.sensors.gravity import gravity_in_camera
from loftr_ros.sensors.readings import OdometryPose
from loftr_ros.sensors.sensor_mounts import SensorMounts
from loftr_ros.sensors.settings import Mount
from loftr_ros.sensors.suite import Sensors
from loftr_ros.turning.expectation import sensed_rotation
from perception_common.errors import InputError
from perception_common.geometry import quaternion_from_matrix, so3_exp, transform

vectors = st.tuples(*[st.floats(-2, 2)] * 3).map(np.array)
rotations = vectors.map(so3_exp)
STAMPS = (10**9, 2 * 10**9)


def quaternion(R):
    return SimpleNamespace(**dict(zip("xyzw", quaternion_from_matrix(R).tolist(), strict=True)))


def header(frame, stamp_ns=0):
    return SimpleNamespace(frame_id=frame, stamp=SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9))


def imu(stamp_ns, R_world_imu, frame="imu"):
    covariance = np.diag([1e-4] * 3).ravel()
    return SimpleNamespace(
        header=header(frame, stamp_ns), orientation=quaternion(R_world_imu), orientation_covariance=covariance
    )


def odometry(stamp_ns, T, child_frame):
    """A nav_msgs/Odometry."""
    x, y, z = T[:3, 3].tolist()
    pose = SimpleNamespace(position=SimpleNamespace(x=x, y=y, z=z), orientation=quaternion(T[:3, :3]))
    with_covariance = SimpleNamespace(pose=pose, covariance=np.zeros(36))
    return SimpleNamespace(header=header("odom", stamp_ns), child_frame_id=child_frame, pose=with_covariance)


def sent(parent, child, R, stamp_ns=0):
    """A tf2_msgs/TFMessage with one transform."""
    moved = SimpleNamespace(translation=SimpleNamespace(x=0.1, y=0.2, z=0.3), rotation=quaternion(R))
    return SimpleNamespace(
        transforms=[SimpleNamespace(header=header(parent, stamp_ns), child_frame_id=child, transform=moved)]
    )


def text(R):
    return "0.1 0.2 0.3 " + " ".join(map(repr, quaternion_from_matrix(R).tolist()))


def readings(mount, R_world_imus, frame="imu"):
    sensors = Sensors()
    sensors.mounts = mount
    for stamp, R in zip(STAMPS, R_world_imus, strict=True):
        assert sensors.add_imu(imu(stamp, R, frame))
    return [sensors.at(stamp, "camera") for stamp in STAMPS]


@given(rotations, rotations, rotations, st.booleans())
@settings(deadline=None, max_examples=25)
def test_gravity_and_turns_do_not_depend_on_how_the_imu_sits(R_base_imu, R_world_base, R_base_camera, by_transform):
    camera = CameraMount("base_link", "" if by_transform else "0 0 0 0 0 0 1")
    mount = SensorMounts("" if by_transform else text(R_base_imu), camera)
    if by_transform:  # over a plate in between
        camera.add(sent("base_link", "plate", so3_exp(np.ones(3))), is_static=True)
        camera.add(sent("plate", "imu", so3_exp(-np.ones(3)) @ R_base_imu), is_static=True)
    turned = [R_world_base, R_world_base @ so3_exp(np.array([0.1, -0.2, 0.5]))]
    older, newer = readings(mount, [R @ R_base_imu for R in turned])
    T_base_camera = transform(R_base_camera, np.zeros(3))
    found = gravity_in_camera(older, Mount(T_base_camera=T_base_camera))
    np.testing.assert_allclose(found.down, (R_world_base @ R_base_camera).T @ [0, 0, -1], atol=1e-9)
    infos = [KeyframeInfo(k, stamp, "camera", 64, 48, None, T_base_camera) for k, stamp in enumerate(STAMPS)]
    expected = Rotation.from_matrix(R_base_camera).inv() * Rotation.from_matrix(turned[0].T @ turned[1])
    expected = expected * Rotation.from_matrix(R_base_camera)
    np.testing.assert_allclose(sensed_rotation(*infos, older, newer), expected.as_matrix(), atol=1e-9)


def gimbal_camera(R_base_gimbals, R_gimbal_camera):
    """The mount of a camera on a gimbal that turns; the IMU sits beside it, turned by IMU_ON_GIMBAL."""
    camera = CameraMount("base_link", "")
    for stamp, R in zip(STAMPS, R_base_gimbals, strict=True):
        camera.add(sent("base_link", "gimbal", R, stamp), is_static=False)
    camera.add(sent("gimbal", "camera", R_gimbal_camera), is_static=True)
    camera.add(sent("gimbal", "imu", IMU_ON_GIMBAL), is_static=True)
    return camera


IMU_ON_GIMBAL = so3_exp(np.array([0.4, -1.0, 2.0]))


@given(rotations, rotations, rotations, rotations)
@settings(deadline=None, max_examples=25)
def test_gravity_and_turns_of_an_imu_beside_the_camera_on_a_gimbal(R_world_base, R_gimbal0, R_gimbal1, R_gimbal_camera):
    """The IMU turns with the camera, so that the gimbal's angle drops out of both."""
    gimbals = R_gimbal0, R_gimbal1
    camera = gimbal_camera(gimbals, R_gimbal_camera)
    both = readings(SensorMounts("", camera), [R_world_base @ R @ IMU_ON_GIMBAL for R in gimbals])
    mounts = [camera.lookup("camera", stamp) for stamp in STAMPS]
    for reading, R_base_gimbal, T_base_camera in zip(both, gimbals, mounts, strict=True):
        found = gravity_in_camera(reading, Mount(T_base_camera=T_base_camera, camera_frame="camera"))
        np.testing.assert_allclose(
            found.down, (R_world_base @ R_base_gimbal @ R_gimbal_camera).T @ [0, 0, -1], atol=1e-9
        )
    infos = [KeyframeInfo(k, stamp, "camera", 64, 48, None, mounts[k]) for k, stamp in enumerate(STAMPS)]
    expected = (R_gimbal0 @ R_gimbal_camera).T @ R_gimbal1 @ R_gimbal_camera
    np.testing.assert_allclose(sensed_rotation(*infos, *both), expected, atol=1e-9)


def test_an_imu_on_a_gimbal_whose_transform_is_late_is_not_used_until_it_comes():
    camera = gimbal_camera([np.eye(3), np.eye(3)], np.eye(3))
    sensors = Sensors()
    sensors.mounts = SensorMounts("", camera)
    later = STAMPS[1] + 10**8
    assert sensors.add_imu(imu(later, np.eye(3)))
    first = sensors.at(later, "camera")
    assert first.orientation is None
    camera.add(sent("base_link", "gimbal", np.eye(3), later), is_static=False)
    assert sensors.at(later, "camera", first).orientation.value.frame == "base_link"
    assert sensors.add_imu(imu(later + 1, np.eye(3), "camera"))
    assert sensors.at(later + 1, "camera").orientation.value.frame == "camera"  # needs no transform


@given(rotations, vectors, rotations, rotations, st.booleans())
@settings(deadline=None, max_examples=25)
def test_odometry_of_any_frame_of_the_vehicle_becomes_that_of_the_base(R0, step, R1, R_base_imu, moves):
    """As of visual-inertial odometry, which reports the pose of its IMU."""
    T_world_base = [transform(R0, np.array([1.0, 2.0, 3.0])), transform(R1, step)]
    camera, sensors = CameraMount("base_link", ""), Sensors()
    sensors.mounts = SensorMounts("", camera)
    T_base_imu = transform(R_base_imu, np.array([0.1, 0.2, 0.3]))
    for stamp in STAMPS[: 1 + moves]:
        camera.add(sent("base_link", "imu", R_base_imu, stamp), is_static=not moves)
    for stamp, T in zip(STAMPS, T_world_base, strict=True):
        assert sensors.add_odometry(odometry(stamp, T @ T_base_imu, "imu"))
    for stamp, T in zip(STAMPS, T_world_base, strict=True):
        found = sensors.at(stamp, "camera").odometry.value
        np.testing.assert_allclose(found.T, T, atol=1e-9)
        assert found.child_frame == "base_link"


def test_the_covariance_of_odometry_moves_to_the_base():
    """Against samples: errors of the rotation of the IMU move the base, which is 2 m away from it."""
    T_base_imu, rng = transform(np.eye(3), np.array([2.0, 0.0, 0.0])), np.random.default_rng(0)
    T_world_imu = transform(so3_exp(np.array([0.0, 0.0, 0.7])), np.zeros(3))
    covariance = np.diag([0.01, 0.02, 0.03, 1e-4, 2e-4, 3e-4])
    camera = CameraMount("base_link", "")
    message = sent("base_link", "imu", np.eye(3))
    message.transforms[0].transform.translation = SimpleNamespace(x=2.0, y=0.0, z=0.0)
    camera.add(message, is_static=True)
    pose = OdometryPose(STAMPS[0], T_world_imu, covariance, "odom", "imu")
    found = SensorMounts("", camera).odometry_in_base(pose, "camera")
    errors = rng.multivariate_normal(np.zeros(6), covariance, 20_000)
    moved = [
        (transform(so3_exp(e[3:]) @ T_world_imu[:3, :3], e[:3]) @ np.linalg.inv(T_base_imu))[:3, 3] for e in errors
    ]
    np.testing.assert_allclose(found.covariance[:3, :3], np.cov(np.array(moved).T), atol=6e-4)
    np.testing.assert_allclose(found.covariance[3:, 3:], covariance[3:, 3:])


@pytest.mark.parametrize("frame", ["", "base_link", "camera", "unknown"])
def test_odometry_of_the_base_of_the_camera_or_of_an_unknown_frame_counts_as_it_comes(frame):
    camera = gimbal_camera([np.eye(3), so3_exp(np.ones(3))], np.eye(3))
    pose = OdometryPose(STAMPS[1], transform(so3_exp(np.ones(3)), np.ones(3)), np.eye(6), "odom", frame)
    found = SensorMounts("", camera).odometry_in_base(pose, "camera")
    np.testing.assert_allclose(found.T, pose.T, atol=1e-12)
    np.testing.assert_allclose(found.covariance, pose.covariance, atol=1e-12)
    assert found.child_frame == frame


def test_an_imu_of_unknown_place_or_in_the_frame_of_the_images_counts_as_it_comes():
    camera = CameraMount("base_link", "")
    mount = SensorMounts("", camera)
    R = so3_exp(np.array([0.3, 0.2, 0.1]))
    camera.add(sent("base_link", "gimbal", so3_exp(np.array([1.0, 0.0, 0.0])), STAMPS[0]), is_static=False)
    camera.add(sent("gimbal", "camera", np.eye(3)), is_static=True)
    for frame in ("imu", "camera", "base_link", ""):
        older, _ = readings(mount, [R, R], frame)
        np.testing.assert_allclose(older.orientation.value.rotation, R, atol=1e-12)
    assert readings(mount, [R, R], "camera")[0].orientation.value.frame == "camera"


def test_a_text_that_is_no_mount_names_the_parameter():
    with pytest.raises(InputError, match="base_from_imu is '1 0 0 0': give seven numbers"):
        SensorMounts("1 0 0 0", CameraMount("base_link", ""))
