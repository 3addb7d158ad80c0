"""Odometry for filters and autopilots: the pose of the vehicle or the camera, its mean velocity, and both covariances.

Its frame begins at the keyframe before the first step in metres. The origin is there. Where gravity is known, z points
up and x ahead; else the axes are those of the vehicle or the camera at that time. What was not observed has a variance
of UNOBSERVED. Where even that could mislead there is no odometry, and `withheld` says why.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.geometry.uncertainty.covariance import UNKNOWN_ROTATION, UNOBSERVED, change_frame
from loftr_ros.results import FrameResult, KeyframeInfo, OdometryState, PairResult
from loftr_ros.sensors.gravity import Gravity
from loftr_ros.trajectory.chain import MAX_POSES, Chain, chain_edge
from loftr_ros.trajectory.covariance import UNKNOWN_LENGTH_M, chained_covariance, propagate
from loftr_ros.trajectory.twist import MeanTwist, mean_twist, velocity_at_end
from perception_common.geometry import compose, transform

_AHEAD_OF_BASE = np.array([1.0, 0.0, 0.0])  # REP-103
_AHEAD_OF_CAMERA = np.array([0.0, -1.0, 1.0])  # the view of a level camera, the top of the image of one that looks down


@dataclass(frozen=True)
class OdometryFrames:
    """odom: name of the frame of the poses. base: name of the vehicle's frame; empty: poses of the optical frame.

    is_level: gravity is expected, and nothing begins before it is known.
    """

    odom: str
    base: str = ""
    is_level: bool = False


class _Segment:
    """Poses and covariances of the camera since the keyframe at which the odometry began, in that camera's frame.

    T_odom_start: (4, 4), pose of that camera in the odometry's frame. covariance: (6, 6), of the odometry's frame.
    newest: the last pose (4, 4) and its covariance (6, 6).
    """

    def __init__(self, keyframe_id: int, T_odom_start: np.ndarray, covariance: np.ndarray):
        self.T_odom_start = T_odom_start
        self.covariance = covariance
        self._chain = Chain()
        self._chain.start(keyframe_id)
        self._covariances = {keyframe_id: np.zeros((6, 6))}
        self.newest = np.eye(4), np.zeros((6, 6))

    def __contains__(self, keyframe_id: int) -> bool:
        return keyframe_id in self._chain

    def extend(self, pair: PairResult) -> None:
        pose = self._chain.extend(chain_edge(pair))
        before = self._covariances[pair.older.id]
        covariance = chained_covariance(pose, before, pair.covariance, length_deviation=UNKNOWN_LENGTH_M)
        self._covariances[pair.newer.id] = covariance
        if len(self._covariances) > MAX_POSES:
            del self._covariances[next(iter(self._covariances))]
        self.newest = pose.T_map_camera, covariance


class Odometry:
    """Turns the results of the front end, in their order, into odometry.

    withheld: why the newest keyframe gave none, else empty. alignment: what the axes of the frame follow, in words.
    """

    def __init__(self, frames: OdometryFrames):
        self.withheld = "there is no keyframe yet"
        self.alignment = ""
        self._frames = frames
        self._segment: _Segment | None = None
        self._position: np.ndarray | None = None  # the last one; another segment begins there
        self._last: tuple[KeyframeInfo, Gravity | None] | None = None
        self._last_twist: MeanTwist | None = None

    def update(self, result: FrameResult) -> OdometryState | None:
        """Return the odometry at a new keyframe; None for other images, and where it would mislead."""
        if result.new_keyframe is None:
            return None
        return self.add(result.new_keyframe, result.pairs[0] if result.pairs else None, result.gravity)

    def add(self, keyframe: KeyframeInfo, pair: PairResult | None, gravity: Gravity | None) -> OdometryState | None:
        """Return the odometry at a keyframe; None where it would mislead.

        pair: that connects it to an older keyframe; None where a trajectory begins. gravity: in its camera, if known.
        """
        self.withheld = self._extend(pair)
        twist = None if pair is None else mean_twist(pair, self._mount_of(pair.older), self._mount_of(keyframe))
        twist_before, self._last_twist = self._last_twist, twist
        self._last = keyframe, gravity
        T_base_camera = self._mount_of(keyframe)
        if T_base_camera is None:
            self.withheld = self.withheld or self._no_mount
        if self.withheld or self._segment is None or T_base_camera is None:
            return None
        T, covariance = change_frame(*self._segment.newest, self._segment.T_odom_start, T_base_camera)
        self._position = T[:3, 3]
        velocity, velocity_covariance = velocity_at_end(twist, twist_before)
        return OdometryState(
            stamp_ns=keyframe.stamp_ns,
            frame=self._frames.odom,
            child_frame=self._frames.base or keyframe.frame_id,
            T=T,
            covariance=propagate(np.eye(4), self._segment.covariance, T, covariance),
            twist=velocity,
            twist_covariance=velocity_covariance,
        )

    def _extend(self, pair: PairResult | None) -> str:
        """Add the step to the newest keyframe; return why there is no pose of it, else ""."""
        if pair is None or (self._segment is not None and pair.older.id not in self._segment):
            self._segment = None  # another trajectory
        if pair is None:
            return "a trajectory begins"
        if self._segment is None and (reason := self._begin(pair)):
            return reason
        assert self._segment is not None
        self._segment.extend(pair)
        return f"no pose: {pair.motion.reason}" if pair.motion.geometry == Geometry.FAILED else ""

    def _begin(self, pair: PairResult) -> str:
        """Begin at the older keyframe of a step; return why that is not possible, else ""."""
        if pair.motion.geometry == Geometry.FAILED:
            return f"no pose: {pair.motion.reason}"
        if not pair.is_metric:
            return f"no length was measured yet: {pair.scale.reason}"
        older, gravity = self._last or (pair.older, None)
        if older.id != pair.older.id:
            return "the track was lost"
        if (T_base_camera := self._mount_of(older)) is None:
            return self._no_mount
        if self._frames.is_level and gravity is None:
            return "gravity is not known yet"
        self._segment = self._segment_from(older.id, T_base_camera, gravity)
        return ""

    def _segment_from(self, keyframe_id: int, T_base_camera: np.ndarray, gravity: Gravity | None) -> _Segment:
        """Begin at a keyframe. Of another segment than the first one, place and heading are unknown."""
        child = self._frames.base or "the camera"
        R, tilt, self.alignment = np.eye(3), 0.0, f"axes of {child} at the first keyframe"
        if gravity is not None:
            R = level(T_base_camera[:3, :3] @ gravity.down, _AHEAD_OF_BASE if self._frames.base else _AHEAD_OF_CAMERA)
            tilt, self.alignment = gravity.deviation**2, f"z up by {gravity.source}, x ahead at the first keyframe"
        position, variances = np.zeros(3), [0.0, 0.0, 0.0, tilt, tilt, 0.0]
        if self._position is not None:
            lost = UNKNOWN_ROTATION if gravity is None else tilt
            position, variances = self._position, [UNOBSERVED] * 3 + [lost, lost, UNKNOWN_ROTATION]
        return _Segment(keyframe_id, compose(transform(R, position), T_base_camera), np.diag(variances))

    def _mount_of(self, keyframe: KeyframeInfo) -> np.ndarray | None:
        return keyframe.T_base_camera if self._frames.base else np.eye(4)

    @property
    def _no_mount(self) -> str:
        return f"the mount of the camera in {self._frames.base} is unknown"


def level(down: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """Return the rotation (3, 3) of a body in a frame with z up, x ahead and no other turn.

    down, ahead: (3,) in the body; where `ahead` points up or down, another axis of the body takes its place.
    """
    up = -down / np.linalg.norm(down)
    x = ahead - (ahead @ up) * up
    if np.linalg.norm(x) < 1e-3 * np.linalg.norm(ahead):
        axis = np.eye(3)[np.argmin(np.abs(up))]
        x = axis - (axis @ up) * up
    x = x / np.linalg.norm(x)
    return np.stack([x, np.cross(up, x), up])
