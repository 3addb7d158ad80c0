"""The motion between two keyframes from their matches and sensor readings: moving matches, relative pose and scale."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from loftr_ros.geometry.scale.result import Scale, unknown_scale
from loftr_ros.geometry.two_view.ambiguity import ROTATION_CHANGE
from loftr_ros.geometry.two_view.relative_pose import Geometry, RelativePose, TwoViewSettings, failed_pose
from loftr_ros.matches import Matches
from loftr_ros.results import KeyframeInfo, PairResult
from loftr_ros.sensors.dynamic import DynamicMatches, dynamic_matches, estimate_without_traffic
from loftr_ros.sensors.gravity import motion_prior, steady_motion
from loftr_ros.sensors.metric import pair_scale
from loftr_ros.sensors.settings import DynamicSettings, Mount, SensorSettings
from loftr_ros.sensors.suite import FrameReadings
from perception_common.cameras.camera import Camera

NO_CAMERA = "no usable camera_info, see /diagnostics"
"""The reason of a pair without calibration, as RelativePose.reason has it."""


@dataclass(frozen=True)
class PairSettings:
    """How the motion of a pair is estimated.

    gimbal_pitch: degrees of the optical axis above the horizon, -90 is straight down; None: unknown. Used where no
    sensor measures the orientation.
    """

    two_view: TwoViewSettings = field(default_factory=TwoViewSettings)
    sensors: SensorSettings = field(default_factory=SensorSettings)
    dynamic: DynamicSettings = field(default_factory=DynamicSettings)
    gimbal_pitch: float | None = None


@dataclass(frozen=True, eq=False)
class PairMotion:
    """Pose of the newer camera in the older one (unit translation), its scale, and the matches on moving objects."""

    motion: RelativePose
    scale: Scale
    moving: DynamicMatches


def estimate_pair(
    older: KeyframeInfo,
    newer: KeyframeInfo,
    readings0: FrameReadings,
    readings1: FrameReadings,
    matches: Matches,
    settings: PairSettings,
    expected: np.ndarray | None = None,
) -> PairMotion:
    """Estimate motion and scale of a pair; matches on objects that may move get less weight.

    readings0, readings1: of the sensors at the older and the newer image. expected: (4, 4), prior motion, see
    `expected_motion`; None: no prior. The motion has FAILED where the camera calibration is missing.
    """
    points0, points1 = matches.points0, matches.points1
    moving = dynamic_matches(
        points0, points1, matches.size0, matches.size1, older=readings0, newer=readings1, settings=settings.dynamic
    )
    cameras = cameras_of(older, newer)
    if cameras is None:
        return PairMotion(failed_pose(len(matches), NO_CAMERA), unknown_scale(NO_CAMERA), moving)
    camera0, camera1 = cameras
    mount = mount_of(older, settings.gimbal_pitch)
    motion = estimate_without_traffic(
        points0,
        points1,
        camera0,
        camera1,
        moving=moving,
        settings=settings.two_view,
        confidence=matches.confidence,
        spread=matches.spread,
        prior=motion_prior(readings0, readings1, mount, settings.sensors, expected),
    )
    scale = pair_scale(
        points0,
        points1,
        camera0,
        camera1,
        pose=motion,
        older=readings0,
        newer=readings1,
        mount=mount,
        settings=settings.sensors,
        dynamic=moving.flags,
    )
    return PairMotion(motion, scale, moving)


def mount_of(keyframe: KeyframeInfo, gimbal_pitch: float | None) -> Mount:
    """Return how the camera of a keyframe is mounted. gimbal_pitch: as in PairSettings."""
    return Mount(T_base_camera=keyframe.T_base_camera, gimbal_pitch=gimbal_pitch, camera_frame=keyframe.frame_id)


def expected_motion(last: PairResult | None, older: KeyframeInfo, newer: KeyframeInfo) -> np.ndarray | None:
    """Return the motion (4, 4) of a pair at constant velocity since the `last` pair, which must end at `older`.

    None where the last motion gives no prior: it has no translation, or it is uncertain. A plane's wrong motion is
    uncertain, and as a prior it would repeat the error.
    """
    if last is None or last.newer.id != older.id or last.motion.geometry not in (Geometry.GENERAL, Geometry.PLANAR):
        return None
    if np.linalg.eigvalsh(last.motion.covariance[3:, 3:])[-1] > ROTATION_CHANGE**2:
        return None
    seconds, ahead = ((b.stamp_ns - a.stamp_ns) / 1e9 for a, b in ((last.older, last.newer), (older, newer)))
    return steady_motion(last.motion.matrix, seconds, ahead)


def cameras_of(older: KeyframeInfo, newer: KeyframeInfo) -> tuple[Camera, Camera] | None:
    """Return both cameras; None if one is missing.

    An older image without a camera takes that of the newer one if the sizes match: its camera_info came too late.
    """
    camera0, camera1 = older.camera, newer.camera
    if camera0 is None and camera1 is not None and camera1.matches_size(older.width, older.height):
        camera0 = camera1
    return None if camera0 is None or camera1 is None else (camera0, camera1)
