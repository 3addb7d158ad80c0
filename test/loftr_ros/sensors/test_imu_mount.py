"""An IMU that sits on the vehicle in any way tells the same gravity and turns as one with the axes of the base."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from loftr_ros.results import KeyframeInfo
from loftr_ros.sensors.camera_mount import CameraMount
from loftr_ros.sensors.gravity import gravity_in_camera
from loftr_ros.sensors.imu_mount import ImuMount
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
    sensors.imu_mount = mount
    for stamp, R in zip(STAMPS, R_world_imus, strict=True):
        assert sensors.add_imu(imu(stamp, R, frame))
    return [sensors.at(stamp) for stamp in STAMPS]


@given(rotations, rotations, rotations, st.booleans())
@settings(deadline=None, max_examples=25)
def test_gravity_and_turns_do_not_depend_on_how_the_imu_sits(R_base_imu, R_world_base, R_base_camera, by_transform):
    camera = CameraMount("base_link", "" if by_transform else "0 0 0 0 0 0 1")
    mount = ImuMount("" if by_transform else text(R_base_imu), camera)
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


def test_an_imu_of_unknown_place_or_on_a_gimbal_counts_as_it_comes():
    camera = CameraMount("base_link", "")
    mount = ImuMount("", camera)
    R = so3_exp(np.array([0.3, 0.2, 0.1]))
    camera.add(sent("base_link", "gimbal", so3_exp(np.array([1.0, 0.0, 0.0])), STAMPS[0]), is_static=False)
    camera.add(sent("gimbal", "camera", np.eye(3)), is_static=True)
    for frame in ("imu", "camera", "base_link", ""):
        older, _ = readings(mount, [R, R], frame)
        np.testing.assert_allclose(older.orientation.value.rotation, R, atol=1e-12)
    assert readings(mount, [R, R], "camera")[0].orientation.value.frame == "camera"


def test_a_text_that_is_no_mount_names_the_parameter():
    with pytest.raises(InputError, match="base_from_imu is '1 0 0 0': give seven numbers"):
        ImuMount("1 0 0 0", CameraMount("base_link", ""))
