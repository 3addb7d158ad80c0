"""The messages of what a drone says about one picture, with covariances, in the frame of the images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from rosbags.typesys.store import Typestore

from perception_common.geometry import transform
from replay_ros.bags.datasets.ground_truth import Pose
from replay_ros.bags.sensor_messages import (
    attitude_message,
    fix_message,
    odometry_message,
    pose_with_covariance_message,
)
from replay_ros.bags.telemetry.flight import FrameTelemetry

FIX_TOPIC, ATTITUDE_TOPIC, ODOMETRY_TOPIC = "/fix", "/imu", "/odometry"
APPROXIMATE_POSE_TOPIC = "/ground_truth/approximate_pose"
NOTES_TOPIC = "/telemetry/notes"


def telemetry_messages(
    types: Typestore, known: FrameTelemetry, stamp_ns: int, frame_id: str, world_frame: str, *, is_truth: bool
) -> Iterator[tuple[str, Any]]:
    """Yield topics and messages of a picture: position, attitude, odometry, and the pose as approximate truth.

    frame_id: of the images. world_frame: that of the odometry, east, north, up. is_truth: write the approximate truth.
    """
    if known.position is not None:
        at = known.position
        deviations = (at.deviation, at.deviation, at.altitude_deviation)
        altitude = math.nan if at.altitude is None else at.altitude
        yield FIX_TOPIC, fix_message(types, at.latitude, at.longitude, altitude, deviations, stamp_ns, frame_id)
    rotation, covariance = known.rotation, known.rotation_covariance
    if rotation is None or covariance is None:
        return
    yield ATTITUDE_TOPIC, attitude_message(types, rotation, covariance, stamp_ns, frame_id)
    if known.location is None or known.location_deviations is None:
        return
    pose = Pose.from_matrix(transform(rotation, known.location))
    of_pose = np.zeros((6, 6))
    of_pose[:3, :3] = np.diag(np.square(known.location_deviations))
    of_pose[3:, 3:] = covariance
    yield ODOMETRY_TOPIC, odometry_message(types, pose, stamp_ns, world_frame, frame_id, of_pose)
    if is_truth:
        yield APPROXIMATE_POSE_TOPIC, pose_with_covariance_message(types, pose, of_pose, stamp_ns, world_frame)
