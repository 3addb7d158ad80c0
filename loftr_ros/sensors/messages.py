"""Conversion of ROS messages to readings, by their attributes: accepts those of rclpy and of rosbags, imports neither.

Unusable messages raise InputError. The error texts contain no values, so that a caller can count messages by text.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from loftr_ros.sensors.readings import DepthImage, DetectedObjects, OdometryPose
from perception_common.errors import InputError
from perception_common.geometry import transform
from perception_common.sensors.messages import covariance_of, rotation_of
from perception_common.stamps import stamp_ns

_DEPTHS = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
_MILLIMETRE = 1e-3


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
    T = transform(rotation_of(pose.orientation, "an Odometry"), position)
    covariance = covariance_of(message.pose.covariance, 6)
    return OdometryPose(
        stamp_ns(message.header), T, covariance, str(message.header.frame_id), str(message.child_frame_id)
    )


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
