"""Gravity in the camera and the expected motion: the prior of a pair, before its matches are used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loftr_ros.geometry.two_view.ambiguity import MotionPrior
from loftr_ros.sensors.odometry import odometry_motion
from loftr_ros.sensors.settings import DEFAULT_SENSORS, Mount, SensorSettings
from loftr_ros.sensors.suite import FrameReadings
from perception_common.geometry import so3_exp, so3_log, transform


@dataclass(frozen=True, eq=False)
class Gravity:
    """down: (3,) unit vector in the optical frame. deviation: standard deviation of its angle, radians.

    source: the sensor, in words.
    """

    down: np.ndarray
    deviation: float
    source: str


def gravity_in_camera(
    readings: FrameReadings, mount: Mount, settings: SensorSettings = DEFAULT_SENSORS
) -> Gravity | None:
    """Direction of gravity in the camera from the orientation, else from the gimbal pitch; None without both."""
    aged = readings.orientation
    if aged is not None and aged.age <= settings.limits.max_age:
        rotation = _rotation_of_camera(aged.value.frame, mount)
        if rotation is not None:
            down = rotation.T @ aged.value.rotation.T @ np.array([0.0, 0.0, -1.0])
            level = aged.value.covariance[:2, :2]  # about the horizontal axes
            known = float(np.sqrt(max(np.trace(level) / 2, 0.0)))
            return Gravity(down, known or float(np.radians(settings.gravity_deviation)), "orientation")
    if mount.gimbal_pitch is not None:
        pitch = np.radians(mount.gimbal_pitch)
        down = np.array([0.0, np.cos(pitch), -np.sin(pitch)])
        return Gravity(down, float(np.radians(settings.gravity_deviation)), "gimbal pitch")
    return None


def motion_prior(
    older: FrameReadings,
    newer: FrameReadings,
    mount: Mount,
    settings: SensorSettings = DEFAULT_SENSORS,
    expected: np.ndarray | None = None,
) -> MotionPrior:
    """Prior to choose among the motions of a plane: gravity and the expected motion.

    expected: (4, 4), such as `steady_motion` of the last pair; usable odometry replaces it.
    """
    gravity = gravity_in_camera(older, mount, settings)
    moved = odometry_motion(older, newer, mount, settings)
    motion = moved.T if moved is not None and not moved.reason else expected
    return MotionPrior(down=None if gravity is None else gravity.down, motion=motion)


def steady_motion(last: np.ndarray, seconds: float, ahead: float) -> np.ndarray | None:
    """Motion (4, 4) over `ahead` seconds at constant velocity, after the motion `last` (4, 4) over `seconds`.

    Its translation has length 1. None without time or translation.
    """
    length = float(np.linalg.norm(last[:3, 3]))
    if seconds <= 0 or ahead <= 0 or length == 0:
        return None
    return transform(so3_exp(so3_log(last[:3, :3]) * (ahead / seconds)), last[:3, 3] / length)


def _rotation_of_camera(frame: str, mount: Mount) -> np.ndarray | None:
    """Rotation (3, 3) of the optical frame in the frame of an orientation; None: unknown."""
    if mount.camera_frame and frame == mount.camera_frame:
        return np.eye(3)
    if mount.R_imu_camera is not None:
        return mount.R_imu_camera
    return None if mount.T_base_camera is None else mount.T_base_camera[:3, :3]
