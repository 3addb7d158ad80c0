"""The metric scale of a pair of keyframes: the scales of all sensors, and the choice among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from loftr_ros.geometry.rays import RayPairs, ray_pairs
from loftr_ros.geometry.scale.altitude import scale_from_altitude
from loftr_ros.geometry.scale.choice import choose_scale
from loftr_ros.geometry.scale.depth import scale_from_depth
from loftr_ros.geometry.scale.limits import LengthMeasurement
from loftr_ros.geometry.scale.odometry import scale_from_odometry
from loftr_ros.geometry.scale.result import Scale, unknown_scale
from loftr_ros.geometry.two_view.relative_pose import Geometry, RelativePose
from loftr_ros.sensors.gravity import gravity_in_camera
from loftr_ros.sensors.odometry import OdometryMotion, odometry_motion
from loftr_ros.sensors.settings import DEFAULT_SENSORS, UNKNOWN_MOUNT, Mount, SensorSettings
from loftr_ros.sensors.suite import FrameReadings
from perception_common.cameras.camera import Camera
from perception_common.sensors.buffer import Aged
from perception_common.sensors.readings import Altitude


def pair_scale(
    points0: np.ndarray,
    points1: np.ndarray,
    camera0: Camera,
    camera1: Camera,
    pose: RelativePose,
    older: FrameReadings,
    newer: FrameReadings,
    mount: Mount = UNKNOWN_MOUNT,
    settings: SensorSettings = DEFAULT_SENSORS,
    dynamic: np.ndarray | None = None,
) -> Scale:
    """Return the scale of a relative pose; UNKNOWN with the reason where sensors are missing or contradict each other.

    points0, points1: (N, 2) matches, pixels of the original images, of which pose.inliers are used. dynamic: (N,) bool,
    matches on objects that may move; they are not used. `loftr_ros.geometry.scale.result.scaled` applies the scale.
    """
    if pose.geometry in (Geometry.FAILED, Geometry.ROTATION_ONLY):
        return unknown_scale("there is no translation to scale")
    used = pose.inliers if dynamic is None else pose.inliers & ~dynamic.astype(bool)
    at0, at1 = points0[used], points1[used]
    pairs, has_rays = ray_pairs(at0, at1, camera0, camera1)
    scales = []
    if older.altitude is not None:
        scales.append(_scale_by_altitude(pairs, pose, older, newer, mount, settings))
    if older.depth is not None:
        by_depth = scale_from_depth(
            pairs.x0,
            pairs.x1,
            pose.rotation,
            pose.translation,
            measured=sample_depth(older.depth.value.depth, at0[has_rays], camera0),
            age=older.depth.age,
            relative_deviation=settings.depth_deviation,
            limits=replace(settings.limits, max_age=min(settings.limits.max_age, settings.sync_slop)),
        )
        scales.append(by_depth)
    moved = odometry_motion(older, newer, mount, settings)
    if moved is not None:
        scales.append(_scale_by_odometry(pose, moved, settings))
    if not scales:
        return unknown_scale("no altitude, depth image or odometry was received")
    return choose_scale(scales, settings.limits)


def sample_depth(depth: np.ndarray, points: np.ndarray, camera: Camera) -> np.ndarray:
    """Depths (N,) of a depth image (H, W) at points (N, 2), pixels of the camera's image; NaN outside.

    Takes the nearest pixel, because interpolation across the edge of a roof gives a depth where nothing is.
    """
    height, width = depth.shape
    ratio = np.array([width / camera.width, height / camera.height])
    at = (points + 0.5) * ratio - 0.5
    inside = np.isfinite(at).all(axis=1) & (at > -0.5).all(axis=1) & (at < [width - 0.5, height - 0.5]).all(axis=1)
    columns, rows = np.rint(np.where(inside[:, None], at, 0.0)).astype(np.int64).T
    return np.where(inside, depth[rows, columns].astype(np.float64), np.nan)


def _scale_by_altitude(
    pairs: RayPairs,
    pose: RelativePose,
    older: FrameReadings,
    newer: FrameReadings,
    mount: Mount,
    settings: SensorSettings,
) -> Scale:
    altitude = _altitude_measurement(older.altitude, settings)
    if altitude is None:
        return unknown_scale("no altitude")
    gravity = gravity_in_camera(older, mount, settings)
    along_beam = settings.altitude_along == "beam"
    gravity_direction = None if gravity is None else gravity.down
    tilt = float(np.radians(settings.ground_tilt))
    return scale_from_altitude(
        pairs.x0,
        pairs.x1,
        pose.rotation,
        pose.translation,
        altitude,
        down=mount.beam if along_beam else gravity_direction,
        limits=settings.limits,
        noise=pose.noise * pairs.pixel,
        gravity=gravity_direction,
        ground_tilt=tilt if gravity is None else float(np.hypot(tilt, gravity.deviation)),
        # A beam turns with the camera, so the two readings of a range finder have different directions.
        newer=None if along_beam else _altitude_measurement(newer.altitude, settings),
    )


def _scale_by_odometry(pose: RelativePose, moved: OdometryMotion, settings: SensorSettings) -> Scale:
    if moved.reason:
        return unknown_scale(moved.reason)
    displacement = moved.T[:3, 3]
    return scale_from_odometry(pose.translation, displacement, moved.covariance, age=moved.age, limits=settings.limits)


def _altitude_measurement(aged: Aged[Altitude] | None, settings: SensorSettings) -> LengthMeasurement | None:
    if aged is None:
        return None
    value, deviation = aged.value.value, aged.value.deviation
    if not np.isfinite(deviation):
        deviation = max(settings.altitude_deviation * value, settings.altitude_floor)
    return LengthMeasurement(value, deviation, aged.age)
