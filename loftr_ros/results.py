"""Results of the matching front end: frozen values with everything that a message, a bag or a report needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from loftr_ros.geometry.scale.result import Scale, ScaleSource, scaled
from loftr_ros.geometry.two_view.relative_pose import RelativePose
from loftr_ros.keyframes.policy import Decision, ViewChange
from loftr_ros.matches import Matches
from loftr_ros.sensors.gravity import Gravity
from loftr_ros.tracks.statistics import NamedPair, TrackStatistics
from perception_common.cameras.camera import Camera
from perception_common.geometry import transform


@dataclass(frozen=True)
class KeyframeInfo:
    """A keyframe: an image that later ones are matched against.

    id: counts up from 0 and is never reused. stamp_ns, frame_id: of the image. width, height: pixels of the original
    image. camera: None where the image is not calibrated. T_base_camera: (4, 4), pose of the optical frame in the
    vehicle at the time of the image, None where it is unknown.
    """

    id: int
    stamp_ns: int
    frame_id: str
    width: int
    height: int
    camera: Camera | None
    T_base_camera: np.ndarray | None = field(default=None, compare=False)


@dataclass(frozen=True, eq=False)
class PairResult:
    """The matches of two keyframes and the motion estimated from them.

    ids0, ids1: (N,) uint32, keypoint ids of the matches in the older and the newer keyframe. motion: pose of the newer
    camera in the older one, its translation of length 1. scale: metres for that length, or UNKNOWN with the reason.
    dynamic: (N,) bool, matches on a detected vehicle or person. dynamic_reason: why the detections of an image are
    missing, else empty. is_loop: the older keyframe is an old one that shows the place of the newer one again.
    """

    older: KeyframeInfo
    newer: KeyframeInfo
    matches: Matches
    ids0: np.ndarray
    ids1: np.ndarray
    motion: RelativePose
    scale: Scale
    dynamic: np.ndarray
    dynamic_reason: str = ""
    is_loop: bool = False

    @property
    def named(self) -> NamedPair:
        """The matches with their keypoint ids, as tracks take them."""
        points0, points1 = self.matches.points0, self.matches.points1
        return NamedPair(self.older.id, self.newer.id, points0, points1, self.ids0, self.ids1)

    @property
    def is_metric(self) -> bool:
        """Whether `matrix` is in metres."""
        return self.scale.source != ScaleSource.UNKNOWN

    @property
    def matrix(self) -> np.ndarray:
        """Pose (4, 4) of the newer camera in the older one; metres where the scale is known, else of length 1."""
        translation, _ = scaled(self.motion.translation, self.motion.covariance, self.scale)
        return transform(self.motion.rotation, translation)

    @property
    def covariance(self) -> np.ndarray:
        """Covariance (6, 6) of `matrix`, in the convention of geometry/covariance.py."""
        return scaled(self.motion.translation, self.motion.covariance, self.scale)[1]


@dataclass(frozen=True, eq=False)
class TrajectoryPose:
    """Pose (4, 4) of a keyframe's camera in the map, which is the optical frame of the first keyframe.

    is_metric: every step from the first keyframe to this one is in metres. assumed: why the length of the last step is
    not measured, else empty.
    """

    keyframe: KeyframeInfo
    T_map_camera: np.ndarray
    is_metric: bool
    assumed: str


@dataclass(frozen=True, eq=False)
class OdometryState:
    """Pose and mean velocity of the vehicle or the camera at a keyframe, as nav_msgs/Odometry has them.

    frame, child_frame: names. T: (4, 4), pose of child_frame in frame, metres. covariance: (6, 6) of T, ROS order, axes
    of `frame`. twist: (6,), linear and angular velocity over the last step, m/s and rad/s, axes of child_frame.
    twist_covariance: (6, 6).
    """

    stamp_ns: int
    frame: str
    child_frame: str
    T: np.ndarray
    covariance: np.ndarray
    twist: np.ndarray
    twist_covariance: np.ndarray


@dataclass(frozen=True, eq=False)
class FrameResult:
    """The result of one image.

    stamp_ns, frame_id: of the image. pose: of the newest keyframe after this image, None while there is none. pairs: of
    a new keyframe, the one that extends the trajectory first; then those that close loops. These may be of an earlier
    keyframe whose check had to wait, also where the image became no keyframe. change: since the keyframe that was
    newest before this image, None where they were not matched. tracks: over the newest keyframes, None unless the image
    became one. gravity: in the camera of a new keyframe, None where no sensor tells it. seconds: duration of each
    stage.
    """

    stamp_ns: int
    frame_id: str
    decision: Decision
    pose: TrajectoryPose | None
    pairs: tuple[PairResult, ...]
    change: ViewChange | None
    tracks: TrackStatistics | None
    gravity: Gravity | None
    seconds: Mapping[str, float]

    @property
    def keyframe(self) -> KeyframeInfo | None:
        """The newest keyframe after this image."""
        return self.pose.keyframe if self.pose else None

    @property
    def new_keyframe(self) -> KeyframeInfo | None:
        """The keyframe that the image became; None when it became none."""
        return self.keyframe if self.decision.makes_keyframe else None

    @property
    def T_map_camera(self) -> np.ndarray:  # noqa: N802  # the field's name for it
        """Pose (4, 4) of the newest keyframe in the map; the identity while there is none."""
        return self.pose.T_map_camera if self.pose else np.eye(4)

    @property
    def matches(self) -> int:
        """Count the matches with the keyframe that was newest before this image."""
        return self.change.matches if self.change else 0

    @property
    def displacement(self) -> float:
        """Median length of those matches over the image's long side."""
        return self.change.displacement if self.change else 0.0
