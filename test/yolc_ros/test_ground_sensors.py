"""Altitude and tilt from messages, as the view of the ground of an image."""

from types import SimpleNamespace

import numpy as np
import pytest

from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from perception_common.geometry import quaternion_from_matrix
from yolc_ros.ground_sensors import GroundSensors, GroundSettings, ground_topics

CAMERA = Camera.from_matrix(np.array([[900.0, 0, 639.5], [0, 910.0, 359.5], [0, 0, 1]]), 1280, 720)
SECOND = 1_000_000_000


def altimeter(value: float, seconds: int = 1) -> SimpleNamespace:
    header = SimpleNamespace(stamp=SimpleNamespace(sec=seconds, nanosec=0), frame_id="")
    return SimpleNamespace(header=header, range=value, min_range=0.1, max_range=500.0)


def imu(rotation: np.ndarray, frame: str) -> SimpleNamespace:
    x, y, z, w = quaternion_from_matrix(rotation)
    header = SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=0), frame_id=frame)
    orientation = SimpleNamespace(x=x, y=y, z=z, w=w)
    return SimpleNamespace(header=header, orientation=orientation, orientation_covariance=[0.0] * 9)


def test_the_gimbal_pitch_and_the_interpolated_altitude_make_the_view():
    sensors = GroundSensors(GroundSettings("range", pitch=-30.0))
    assert sensors.add_range(altimeter(40.0, 1))
    assert sensors.add_range(altimeter(44.0, 2))
    view = sensors.view(SECOND + SECOND // 2, CAMERA, "camera")
    assert view.altitude == pytest.approx(42.0)
    np.testing.assert_allclose(view.down, (0, np.cos(np.radians(30)), 0.5), atol=1e-12)
    assert (view.focal, view.centre) == ((900.0, 910.0), (640.0, 360.0))


def test_an_orientation_of_the_camera_gives_the_tilt():
    sensors = GroundSensors(GroundSettings("float", use_imu=True))
    sensors.add_float_altitude(SimpleNamespace(data=25.0), SECOND)
    looking_down = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])  # x east, y south, z down in ENU
    sensors.add_imu(imu(looking_down, "camera"))
    np.testing.assert_allclose(sensors.view(SECOND, CAMERA, "camera").down, (0, 0, 1), atol=1e-12)
    with pytest.raises(InputError, match="gimbal_pitch"):
        sensors.view(SECOND, CAMERA, "another")


def test_transforms_give_the_tilt():
    sensors = GroundSensors(GroundSettings("range", attitude_frame="map"))
    sensors.add_range(altimeter(40.0))
    tilt = SimpleNamespace(x=1.0, y=0.0, z=0.0, w=0.0)  # half a turn about x: z down
    zero = SimpleNamespace(x=0.0, y=0.0, z=0.0)
    header = SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=0), frame_id="map")
    stamped = SimpleNamespace(
        header=header, child_frame_id="camera", transform=SimpleNamespace(translation=zero, rotation=tilt)
    )
    with pytest.raises(InputError, match="no attitude of the camera"):
        sensors.view(SECOND, CAMERA, "camera")
    sensors.transforms.add_all(SimpleNamespace(transforms=[stamped]), is_static=False)
    np.testing.assert_allclose(sensors.view(SECOND, CAMERA, "camera").down, (0, 0, 1), atol=1e-12)


def test_old_and_missing_readings_are_told():
    sensors = GroundSensors(GroundSettings("range"))
    with pytest.raises(InputError, match="no altitude"):
        sensors.view(SECOND, CAMERA, "camera")
    sensors.add_range(altimeter(40.0))
    with pytest.raises(InputError, match="no altitude"):
        sensors.view(9 * SECOND, CAMERA, "camera")
    assert not sensors.add_range(altimeter(900.0))
    assert sum(sensors.ignored().values()) == 1


def test_only_what_is_switched_on_is_subscribed():
    assert ground_topics(GroundSettings()) == ()
    assert [topic.name for topic in ground_topics(GroundSettings("fix"))] == ["altitude"]
    assert [topic.name for topic in ground_topics(GroundSettings("range", use_imu=True))] == ["altitude", "imu"]
