"""Conversion of ROS messages to readings, by their attributes: accepts those of rclpy and of rosbags, imports neither.

Unusable messages raise InputError. The error texts contain no values, so that a caller can count messages by text.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from loftr_ros.sensors.readings import (
    Altitude,
    DepthImage,
    DetectedObjects,
    OdometryPose,
    Orientation,
    is_orientation,
)
from perception_common.errors import InputError
from perception_common.geometry import matrix_from_quaternion, transform
from perception_common.stamps import stamp_ns

_DEPTHS = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
_MILLIMETRE = 1e-3
_NO_FIX = -1  # NavSatStatus.STATUS_NO_FIX
_VERTICAL = 8  # index of the zz entry in a row-major 3x3 covariance (ENU)


def altitude_from_range(message: Any) -> Altitude:
    """Read a sensor_msgs/Range: metres along its beam.

    REP-117: -inf is an object too close, +inf no object within range. Values outside min_range and max_range are no
    measurements either. A `variance` that is missing (older distributions) or 0 is unknown.
    """
    value = float(message.range)
    if math.isnan(value):
        raise InputError("a Range of NaN is an error of the sensor; check the range finder")
    if value == math.inf or value > float(message.max_range):
        raise InputError("a Range beyond max_range: nothing is within reach of the range finder")
    if value == -math.inf or value < float(message.min_range):
        raise InputError("a Range below min_range: the ground is too close for the range finder")
    return _altitude(stamp_ns(message.header), value, float(getattr(message, "variance", 0.0)), "Range")


def altitude_from_float(message: Any, arrival_ns: int) -> Altitude:
    """Read a std_msgs/Float64 or Float32 in metres, such as MAVROS's relative altitude; stamped with its arrival."""
    return _altitude(arrival_ns, float(message.data), 0.0, "altitude")


def height_from_fix(message: Any) -> Altitude:
    """Read a sensor_msgs/NavSatFix: metres above the WGS 84 ellipsoid, not above ground."""
    if int(message.status.status) <= _NO_FIX:
        raise InputError("a NavSatFix without a fix; wait for the satellites")
    value = float(message.altitude)
    if not math.isfinite(value):
        raise InputError("a NavSatFix without an altitude; a fix in three dimensions is needed")
    known = int(message.position_covariance_type) != 0
    variance = float(message.position_covariance[_VERTICAL]) if known else 0.0
    return Altitude(stamp_ns(message.header), value, _deviation(variance))


def depth_from_image(message: Any) -> DepthImage:
    """Read a depth image, sensor_msgs/Image in 16UC1 (millimetres, 0: no depth) or 32FC1 (metres), REP-118."""
    sample = _DEPTHS.get(message.encoding)
    if sample is None:
        raise InputError("a depth image must be 16UC1 (mm) or 32FC1 (m); subscribe to the raw depth topic")
    height, width, step = int(message.height), int(message.width), int(message.step)
    dtype = np.dtype((">" if message.is_bigendian else "<") + sample)
    if height < 1 or width < 1 or step < width * dtype.itemsize:
        raise InputError("a depth image without pixels, or with a step shorter than its rows; check its driver")
    data = np.frombuffer(message.data, np.uint8) if len(message.data) else np.empty(0, np.uint8)
    if len(data) < (height - 1) * step + width * dtype.itemsize:
        raise InputError("a depth image is truncated; check the link to the depth camera")
    values: np.ndarray = np.ndarray((height, width), dtype, data, strides=(step, dtype.itemsize)).astype(np.float32)
    if dtype.kind == "u":
        values *= _MILLIMETRE
    with np.errstate(invalid="ignore"):
        values[~(np.isfinite(values) & (values > 0))] = np.nan
    return DepthImage(stamp_ns(message.header), values, str(message.header.frame_id))


def pose_from_odometry(message: Any) -> OdometryPose:
    """Read the pose of a nav_msgs/Odometry; an invalid covariance counts as unknown."""
    pose = message.pose.pose
    position = np.array([pose.position.x, pose.position.y, pose.position.z], np.float64)
    if not np.isfinite(position).all():
        raise InputError("an Odometry whose position is not finite; check the state estimator")
    T = transform(_rotation(pose.orientation, "an Odometry"), position)
    covariance = _covariance(message.pose.covariance, 6)
    return OdometryPose(
        stamp_ns(message.header), T, covariance, str(message.header.frame_id), str(message.child_frame_id)
    )


def orientation_from_imu(message: Any) -> Orientation:
    """Read the orientation of a sensor_msgs/Imu; orientation_covariance[0] = -1 marks one without orientation."""
    if float(message.orientation_covariance[0]) == -1.0:
        raise InputError("an Imu without an orientation (orientation_covariance[0] is -1); run an attitude filter")
    rotation = _rotation(message.orientation, "an Imu")
    covariance = _covariance(message.orientation_covariance, 3)
    return Orientation(stamp_ns(message.header), rotation, covariance, str(message.header.frame_id))


def objects_from_detections(message: Any) -> DetectedObjects:
    """Read a yolc_ros/DetectionArray; detections of an untrained network are refused."""
    if not message.trained:
        raise InputError("detections of a network with random weights are meaningless; give yolc_node trained weights")
    width, height = int(message.image_width), int(message.image_height)
    if width < 1 or height < 1:
        raise InputError("detections without the size of their image; fill image_width and image_height")
    found = message.detections
    centres = np.array([(d.center_x, d.center_y) for d in found], np.float64).reshape(-1, 2)
    halves = np.array([(d.size_x, d.size_y) for d in found], np.float64).reshape(-1, 2) / 2
    boxes = np.hstack([centres - halves, centres + halves]) - 0.5  # from pixel corners at integers to pixel centres
    scores = np.array([d.score for d in found], np.float64)
    usable = np.isfinite(boxes).all(axis=1) & (halves >= 0).all(axis=1) & np.isfinite(scores)
    names = tuple(str(d.class_name) for d, use in zip(found, usable.tolist(), strict=True) if use)
    return DetectedObjects(stamp_ns(message.header), width, height, boxes[usable], scores[usable], names)


def _altitude(stamp: int, value: float, variance: float, name: str) -> Altitude:
    if not math.isfinite(value):
        raise InputError(f"the {name} is not finite; check the altimeter")
    if value <= 0:
        raise InputError(f"the {name} is not above ground: 0 or less; check the altimeter and its reference height")
    return Altitude(stamp, value, _deviation(variance))


def _deviation(variance: float) -> float:
    return math.sqrt(variance) if math.isfinite(variance) and variance > 0 else math.nan


def _rotation(orientation: Any, name: str) -> np.ndarray:
    q = np.array([orientation.x, orientation.y, orientation.z, orientation.w], np.float64)
    if not is_orientation(q):
        raise InputError(f"{name} whose orientation is no quaternion of length 1; check the state estimator")
    return matrix_from_quaternion(q)


def _covariance(values: Any, size: int) -> np.ndarray:
    """Return the (size, size) covariance; 0 if it is invalid: not finite, or not positive semidefinite."""
    covariance: np.ndarray = np.array(values, np.float64).reshape(size, size)
    covariance = (covariance + covariance.T) / 2
    if not np.isfinite(covariance).all() or np.linalg.eigvalsh(covariance).min() < -1e-9 * max(1.0, covariance.max()):
        return np.zeros((size, size))
    return covariance
