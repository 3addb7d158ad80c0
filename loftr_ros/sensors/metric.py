"""Metres for a pair of keyframes: every source of scale that there is, and the one that is believed."""

from __future__ import annotations

import numpy as np

from loftr_ros.geometry.rays import ray_pairs
from loftr_ros.geometry.scale.sources import (
    FactorEstimate,
    Scale,
    choose_scale,
    scale_from_altitude,
    scale_from_depth,
    scale_from_odometry,
    unknown_scale,
)
from loftr_ros.geometry.two_view.estimation import Geometry, RelativePose
from loftr_ros.sensors.buffer import Aged
from loftr_ros.sensors.gravity import gravity
from loftr_ros.sensors.odometry import odometry_motion
from loftr_ros.sensors.readings import Altitude
from loftr_ros.sensors.settings import DEFAULT_SENSORS, UNKNOWN_MOUNT, Mount, SensorSettings
from loftr_ros.sensors.suite import FrameReadings
from perception_common.cameras.camera import Camera


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
    """Scale of a relative pose by the sensors; UNKNOWN with the reason where they say nothing or contradict each other.

    points0, points1: (N, 2) matches, pixels of the original images, of which pose.inliers count. dynamic: (N,) bool,
    matches on what may move: they are left out. `loftr_ros.geometry.scale.sources.scaled` applies the result.
    """
    if pose.geometry in (Geometry.FAILED, Geometry.ROTATION_ONLY):
        return unknown_scale("there is no translation to give a length")
    used = pose.inliers if dynamic is None else pose.inliers & ~dynamic.astype(bool)
    at0, at1 = points0[used], points1[used]
    pairs, seen = ray_pairs(at0, at1, camera0, camera1)
    rays = (pairs.x0, pairs.x1, pose.rotation, pose.translation)
    scales = []
    if older.altitude is not None:
        scales.append(_by_altitude(rays, pose.noise * pairs.pixel, older, newer, mount, settings))
    if older.depth is not None:
        depth = sample_depth(older.depth.value.depth, at0[seen], camera0)
        scales.append(scale_from_depth(*rays, depth, older.depth.age, settings.depth_deviation, limits=settings.limits))
    moved = odometry_motion(older, newer, mount, settings)
    if moved is not None:
        scales.append(
            unknown_scale(moved.reason)
            if moved.reason
            else scale_from_odometry(
                pose.translation, moved.T[:3, 3], moved.covariance, moved.age, limits=settings.limits
            )
        )
    if not scales:
        return unknown_scale("no altitude, depth image or odometry has come")
    return choose_scale(scales, settings.limits)


def sample_depth(depth: np.ndarray, points: np.ndarray, camera: Camera) -> np.ndarray:
    """Depths (N,) at points (N, 2), pixels of the camera's image, of a depth image (H, W) of the same view; else NaN.

    The nearest pixel is read: a mean over the edge of a roof is the depth of nothing.
    """
    height, width = depth.shape
    ratio = np.array([width / camera.width, height / camera.height])
    at = (points + 0.5) * ratio - 0.5
    inside = np.isfinite(at).all(axis=1) & (at > -0.5).all(axis=1) & (at < [width - 0.5, height - 0.5]).all(axis=1)
    columns, rows = np.rint(np.where(inside[:, None], at, 0.0)).astype(np.int64).T
    return np.where(inside, depth[rows, columns].astype(np.float64), np.nan)


def _by_altitude(
    rays: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    noise: float,
    older: FrameReadings,
    newer: FrameReadings,
    mount: Mount,
    settings: SensorSettings,
) -> Scale:
    altitude = _measured(older.altitude, settings)
    if altitude is None:
        return unknown_scale("no altitude")
    known = gravity(older, mount, settings)
    along = settings.altitude_along
    down = mount.beam if along == "beam" else None if known is None else known.down
    # The beam of a range finder turns with the camera, so its two readings are not along one direction.
    other = None if along == "beam" else _measured(newer.altitude, settings)
    level = float(np.radians(settings.level))
    return scale_from_altitude(
        *rays,
        altitude,
        down,
        settings.limits,
        noise=noise,
        gravity=None if known is None else known.down,
        level=level if known is None else float(np.hypot(level, known.deviation)),
        newer=other,
    )


def _measured(aged: Aged[Altitude] | None, settings: SensorSettings) -> FactorEstimate | None:
    if aged is None:
        return None
    value, deviation = aged.value.value, aged.value.deviation
    if not np.isfinite(deviation):
        deviation = max(settings.altitude_deviation * value, settings.altitude_floor)
    return FactorEstimate(value, deviation, aged.age)
