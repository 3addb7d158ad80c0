"""How odometry saw the camera move between two images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loftr_ros.sensors.readings import OdometryPose
from loftr_ros.sensors.settings import DEFAULT_SENSORS, Mount, SensorSettings
from loftr_ros.sensors.suite import FrameReadings
from perception_common.geometry import compose, inverse


@dataclass(frozen=True, eq=False)
class OdometryMotion:
    """T: (4, 4), pose of the newer camera in the older one, metres. covariance: (3, 3) of its translation.

    age: seconds between a reading and its image, the larger of both. reason: why it means nothing, else empty.
    """

    T: np.ndarray
    covariance: np.ndarray
    age: float
    reason: str = ""


def odometry_motion(
    older: FrameReadings, newer: FrameReadings, mount: Mount, settings: SensorSettings = DEFAULT_SENSORS
) -> OdometryMotion | None:
    """Motion of the optical frame between two images; None without odometry."""
    if older.odometry is None or newer.odometry is None:
        return None
    pose0, pose1 = older.odometry.value, newer.odometry.value
    age = max(older.odometry.age, newer.odometry.age)

    def refused(reason: str) -> OdometryMotion:
        return OdometryMotion(np.eye(4), np.zeros((3, 3)), age, reason)

    if age > settings.limits.max_age:
        return refused(f"the odometry is {age:.2f} s old, more than {settings.limits.max_age:g} s")
    if pose0.frame != pose1.frame or pose0.child_frame != pose1.child_frame:
        return refused("odometry changed its frames between the images")
    mounted = np.eye(4) if mount.camera_frame and pose0.child_frame == mount.camera_frame else mount.T_base_camera
    if mounted is None:
        return refused(f"no pose of the camera in {pose0.child_frame or 'the base frame'} is known, as odometry needs")
    world_older, world_newer = compose(pose0.T, mounted), compose(pose1.T, mounted)
    T = compose(inverse(world_older), world_newer)
    turn = world_older[:3, :3].T
    covariance = turn @ _displacement_covariance(pose0, pose1) @ turn.T
    way = float(np.linalg.norm(T[:3, 3]))
    strayed = (settings.odometry_deviation * way) ** 2 + settings.odometry_drift**2 * way
    return OdometryMotion(T, covariance + strayed * np.eye(3), age)


def _displacement_covariance(pose0: OdometryPose, pose1: OdometryPose) -> np.ndarray:
    """Covariance (3, 3) of the way between two poses, axes of the odometry's frame.

    One that grows is that of dead reckoning, whose poses share the errors made before: what it grew by counts. Else
    both poses are measured on their own (GNSS, a map).
    """
    before, after = pose0.covariance[:3, :3], pose1.covariance[:3, :3]
    grown = after - before
    if np.trace(grown) > 0 and np.linalg.eigvalsh(grown).min() >= -1e-9 * np.trace(grown):
        return grown
    return before + after
