"""Conversion of messages of rosbags, and of rclpy where installed, to readings; invalid ones raise InputError only."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loftr_ros.sensors.messages import depth_from_image, objects_from_detections, pose_from_odometry
from perception_common.errors import InputError
from perception_common.geometry import matrix_from_quaternion, quaternion_from_matrix, so3_exp
from perception_common.sensors.messages import (
    altitude_from_float,
    altitude_from_range,
    height_from_fix,
    orientation_from_imu,
)

INF, NAN = float("inf"), float("nan")
anything = st.floats(allow_nan=True, allow_infinity=True, width=32)


def header(seconds=3, nanoseconds=5, frame="sensor"):
    return SimpleNamespace(stamp=SimpleNamespace(sec=seconds, nanosec=nanoseconds), frame_id=frame)


def range_of(value, low=0.2, high=40.0, **more):
    return SimpleNamespace(header=header(), range=value, min_range=low, max_range=high, **more)


def fix(altitude, status=0, covariance=(4.0, 0, 0, 0, 4.0, 0, 0, 0, 9.0), kind=2):
    return SimpleNamespace(
        header=header(),
        status=SimpleNamespace(status=status),
        altitude=altitude,
        position_covariance=np.array(covariance, float),
        position_covariance_type=kind,
    )


def depth_image(values, encoding, padding=0, big_endian=False):
    """A message of values (H, W); each row is followed by `padding` bytes."""
    dtype = np.dtype((">" if big_endian else "<") + {"16UC1": "u2", "32FC1": "f4"}[encoding])
    rows = np.asarray(values).astype(dtype).view(np.uint8).reshape(len(values), -1)
    data = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return SimpleNamespace(
        header=header(),
        height=len(values),
        width=len(values[0]),
        encoding=encoding,
        is_bigendian=big_endian,
        step=data.shape[1],
        data=data.tobytes(),
    )


def quaternion(q):
    return SimpleNamespace(**dict(zip("xyzw", map(float, q), strict=True)))


def odometry(position, q, covariance=None):
    pose = SimpleNamespace(
        position=SimpleNamespace(**dict(zip("xyz", position, strict=True))), orientation=quaternion(q)
    )
    covariance = np.zeros(36) if covariance is None else covariance
    return SimpleNamespace(
        header=header(frame="odom"),
        child_frame_id="base_link",
        pose=SimpleNamespace(pose=pose, covariance=covariance),
    )


def imu(q, covariance=(0.0,) * 9):
    return SimpleNamespace(header=header(), orientation=quaternion(q), orientation_covariance=np.array(covariance))


def detection(x, y, width, height, name="car", score=0.9):
    return SimpleNamespace(center_x=x, center_y=y, size_x=width, size_y=height, class_name=name, score=score)


def detection_array(*found, trained=True, size=(200, 100)):
    return SimpleNamespace(
        header=header(), image_width=size[0], image_height=size[1], detections=list(found), trained=trained
    )


def test_a_range_has_the_deviation_of_its_variance():
    reading = altitude_from_range(range_of(12.5, variance=0.09))
    assert (reading.stamp_ns, reading.value, reading.deviation) == (3_000_000_005, 12.5, pytest.approx(0.3))
    assert np.isnan(altitude_from_range(range_of(12.5, variance=0.0)).deviation)
    assert np.isnan(altitude_from_range(range_of(12.5)).deviation)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (range_of(INF), "beyond max_range"),
        (range_of(41.0), "beyond max_range"),
        (range_of(-INF), "below min_range"),
        (range_of(0.1), "below min_range"),
        (range_of(NAN), "NaN"),
        (range_of(0.0, low=0.0), "not above ground"),
        (range_of(INF, high=INF), "beyond max_range"),
    ],
)
def test_ranges_without_a_measurement_are_refused(message, words):
    with pytest.raises(InputError, match=words):
        altitude_from_range(message)


@given(anything, anything, anything, anything)
def test_any_range_is_a_positive_altitude_or_an_input_error(value, low, high, variance):
    try:
        reading = altitude_from_range(range_of(value, low, high, variance=variance))
    except InputError:
        return
    assert 0 < reading.value < INF
    assert low <= reading.value <= high or np.isnan([low, high]).any()
    assert np.isnan(reading.deviation) or reading.deviation > 0


def test_an_altitude_without_a_stamp_gets_that_of_its_arrival():
    reading = altitude_from_float(SimpleNamespace(data=30.0), 42)
    assert (reading.stamp_ns, reading.value) == (42, 30.0)
    for bad in (NAN, INF, 0.0, -3.0):
        with pytest.raises(InputError, match="altitude is not"):
            altitude_from_float(SimpleNamespace(data=bad), 42)


def test_a_fix_gives_its_height_and_the_vertical_covariance():
    assert height_from_fix(fix(120.0)).deviation == pytest.approx(3.0)
    assert np.isnan(height_from_fix(fix(120.0, kind=0)).deviation)
    assert height_from_fix(fix(-20.0)).value == -20.0  # a height below the ellipsoid
    with pytest.raises(InputError, match="without a fix"):
        height_from_fix(fix(120.0, status=-1))
    with pytest.raises(InputError, match="without an altitude"):
        height_from_fix(fix(NAN))


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize(("encoding", "unit"), [("16UC1", 1000.0), ("32FC1", 1.0)])
def test_depth_images_of_all_layouts(encoding, unit, padding, big_endian):
    metres = np.array([[1.0, 2.5, 0.0], [0.25, 8.0, 60.0]])
    reading = depth_from_image(depth_image(metres * unit, encoding, padding, big_endian))
    assert reading.depth.dtype == np.float32
    np.testing.assert_allclose(reading.depth, np.where(metres > 0, metres, np.nan), rtol=1e-6)


def test_missing_depths_are_nan():
    reading = depth_from_image(depth_image(np.array([[NAN, INF, -INF, -1.0, 0.0, 2.0]]), "32FC1"))
    np.testing.assert_array_equal(reading.depth, [[NAN] * 5 + [2.0]])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"encoding": "bgr8"}, "16UC1"),
        ({"height": 0}, "without pixels"),
        ({"step": 3}, "step"),
        ({"data": b"abc"}, "truncated"),
        ({"data": b""}, "truncated"),
    ],
)
def test_broken_depth_images_are_refused(change, words):
    message = depth_image(np.ones((4, 5)), "16UC1")
    vars(message).update(change)
    with pytest.raises(InputError, match=words):
        depth_from_image(message)


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 30), st.binary(max_size=60), st.booleans())
def test_any_depth_image_is_read_or_an_input_error(height, width, step, data, big_endian):
    for encoding in ("16UC1", "32FC1"):
        message = depth_image(np.ones((1, 1)), encoding)
        vars(message).update(height=height, width=width, step=step, data=data, is_bigendian=big_endian)
        try:
            reading = depth_from_image(message)
        except InputError:
            continue
        assert reading.depth.shape == (height, width)
        with np.errstate(invalid="ignore"):
            assert (np.isnan(reading.depth) | (reading.depth > 0)).all()


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3))
def test_odometry_and_imu_keep_the_rotation(axis, position):
    rotation = so3_exp(np.array(axis))
    q = quaternion_from_matrix(rotation)
    reading = pose_from_odometry(odometry(position, q, np.diag([1.0, 2, 3, 4, 5, 6]).ravel()))
    np.testing.assert_allclose(reading.T[:3, :3], rotation, atol=1e-9)
    np.testing.assert_allclose(reading.T[:3, 3], position)
    np.testing.assert_array_equal(np.diag(reading.covariance), [1, 2, 3, 4, 5, 6])
    assert (reading.frame, reading.child_frame) == ("odom", "base_link")
    np.testing.assert_allclose(orientation_from_imu(imu(-q)).rotation, rotation, atol=1e-9)


def test_bad_poses_and_orientations_are_refused_and_bad_covariances_are_unknown():
    for q in ([0, 0, 0, 0], [NAN, 0, 0, 1], [9, 0, 0, 9]):
        with pytest.raises(InputError, match="quaternion"):
            pose_from_odometry(odometry([0.0, 0, 0], q))
        with pytest.raises(InputError, match="quaternion"):
            orientation_from_imu(imu(q))
    with pytest.raises(InputError, match="position"):
        pose_from_odometry(odometry([NAN, 0, 0], [0, 0, 0, 1]))
    with pytest.raises(InputError, match="-1"):
        orientation_from_imu(imu([0, 0, 0, 1], [-1.0, *[0] * 8]))
    for bad in (np.full(36, NAN), -np.eye(6).ravel()):
        assert not pose_from_odometry(odometry([0.0, 0, 0], [0, 0, 0, 1], bad)).covariance.any()


@given(st.lists(anything, min_size=13, max_size=13))
def test_any_imu_is_a_rotation_or_an_input_error(values):
    try:
        reading = orientation_from_imu(imu(values[:4], values[4:]))
    except InputError:
        return
    np.testing.assert_allclose(reading.rotation @ reading.rotation.T, np.eye(3), atol=1e-6)
    assert np.isfinite(reading.covariance).all()


def test_boxes_are_in_the_pixel_coordinates_of_matches():
    """The box of the top left pixel covers 0 to 1 in a Detection; its centre is (0, 0) for a match."""
    reading = objects_from_detections(detection_array(detection(0.5, 0.5, 1, 1), detection(10, 20, 4, 6, "bus", 0.4)))
    np.testing.assert_allclose(reading.boxes, [[-0.5, -0.5, 0.5, 0.5], [7.5, 16.5, 11.5, 22.5]])
    assert (reading.names, reading.scores.tolist(), len(reading)) == (("car", "bus"), [0.9, 0.4], 2)
    assert objects_from_detections(detection_array()).boxes.shape == (0, 4)
    partly = objects_from_detections(detection_array(detection(NAN, 1, 1, 1), detection(5, 5, 1, 1, "van")))
    assert partly.names == ("van",)


def test_detections_without_weights_or_image_size_are_refused():
    with pytest.raises(InputError, match="random weights"):
        objects_from_detections(detection_array(trained=False))
    with pytest.raises(InputError, match="size of their image"):
        objects_from_detections(detection_array(size=(0, 100)))


def test_messages_of_rosbags_are_read():
    typesys = pytest.importorskip("rosbags.typesys")
    types = typesys.get_typestore(typesys.Stores.ROS2_JAZZY).types
    stamp = types["builtin_interfaces/msg/Time"](sec=3, nanosec=5)
    head = types["std_msgs/msg/Header"](stamp=stamp, frame_id="sensor")
    message = types["sensor_msgs/msg/Range"](
        header=head, radiation_type=1, field_of_view=0.1, min_range=0.2, max_range=40.0, range=12.5, variance=0.25
    )
    assert altitude_from_range(message).deviation == 0.5
    image = types["sensor_msgs/msg/Image"](
        header=head,
        height=1,
        width=2,
        encoding="16UC1",
        is_bigendian=0,
        step=4,
        data=np.array([500, 0], "<u2").view(np.uint8),
    )
    np.testing.assert_array_equal(depth_from_image(image).depth, np.float32([[0.5, NAN]]))


def test_messages_of_rclpy_are_read():
    messages = pytest.importorskip("sensor_msgs.msg")
    nav = pytest.importorskip("nav_msgs.msg")
    message = messages.Image(height=1, width=2, encoding="32FC1", step=8)
    message.data.frombytes(np.array([1.5, NAN], "<f4").tobytes())
    np.testing.assert_array_equal(depth_from_image(message).depth, np.float32([[1.5, NAN]]))
    np.testing.assert_array_equal(pose_from_odometry(nav.Odometry()).T, np.eye(4))
    np.testing.assert_array_equal(orientation_from_imu(messages.Imu()).rotation, matrix_from_quaternion([0, 0, 0, 1]))
    fixed = messages.NavSatStatus(status=messages.NavSatStatus.STATUS_FIX)
    assert height_from_fix(messages.NavSatFix(altitude=5.0, status=fixed)).value == 5.0
    assert altitude_from_range(messages.Range(range=2.0, max_range=3.0)).value == 2.0
