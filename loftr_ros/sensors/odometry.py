"""Motion of the camera between two images, by odometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loftr_ros.sensors.readings import OdometryPose
from loftr_ros.sensors.settings import DEFAULT_SENSORS, Mount, SensorSettings
from loftr_ros.sensors.suite import FrameReadings
from perception_common.geometry import compose, inverse


@dataclass(frozen=True, eq=False)
class OdometryMotion:
    """T: (4, 4), pose of the newer camera in the older one, metres. covariance: (3, 3), of its translation, m^2.

    age: seconds between a reading and its image, the larger of both. reason: why the motion is unusable, else empty.
    """

    T: np.ndarray
    covariance: np.ndarray
    age: float
    reason: str = ""


def odometry_motion(
    older: FrameReadings, newer: FrameReadings, mount: Mount, settings: SensorSettings = DEFAULT_SENSORS
) -> OdometryMotion | None:
    """Motion of the optical frame between two images; None without odometry.

    Its covariance is that of the odometry messages plus a drift that grows with the distance travelled.
    """
    if older.odometry is None or newer.odometry is None:
        return None
    pose0, pose1 = older.odometry.value, newer.odometry.value
    age = max(older.odometry.age, newer.odometry.age)

    if age > settings.limits.max_age:
        return _unusable(f"the odometry is {age:.2f} s old, more than {settings.limits.max_age:g} s", age)
    if pose0.frame != pose1.frame or pose0.child_frame != pose1.child_frame:
        return _unusable("odometry changed its frames between the images", age)
    is_of_camera = bool(mount.camera_frame) and pose0.child_frame == mount.camera_frame
    T_child_camera = np.eye(4) if is_of_camera else mount.T_base_camera
    if T_child_camera is None:
        frame = pose0.child_frame or "the base frame"
        return _unusable(f"no pose of the camera in {frame} is known, as odometry needs", age)
    world_older, world_newer = compose(pose0.T, T_child_camera), compose(pose1.T, T_child_camera)
    T = compose(inverse(world_older), world_newer)
    R_camera_world = world_older[:3, :3].T
    covariance = R_camera_world @ _displacement_covariance(pose0, pose1) @ R_camera_world.T
    distance = float(np.linalg.norm(T[:3, 3]))
    drift = (settings.odometry_deviation * distance) ** 2 + settings.odometry_drift**2 * distance
    return OdometryMotion(T, covariance + drift * np.eye(3), age)


def _unusable(reason: str, age: float) -> OdometryMotion:
    return OdometryMotion(np.eye(4), np.zeros((3, 3)), age, reason)


def _displacement_covariance(pose0: OdometryPose, pose1: OdometryPose) -> np.ndarray:
    """Covariance (3, 3) of the displacement between two poses, axes of the odometry's frame.

    A covariance that grows belongs to dead reckoning, whose poses share their earlier errors: the displacement has the
    covariance that was added. Otherwise the two poses are measured independently (GNSS, a map).
    """
    before, after = pose0.covariance[:3, :3], pose1.covariance[:3, :3]
    grown = after - before
    if np.trace(grown) > 0 and np.linalg.eigvalsh(grown).min() >= -1e-9 * np.trace(grown):
        return grown
    return before + after
