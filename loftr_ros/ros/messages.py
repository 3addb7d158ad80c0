"""Results of the front end as ROS messages: the one place that says what loftr_node publishes."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import (
    Point,
    Pose,
    PoseStamped,
    PoseWithCovariance,
    Quaternion,
    Transform,
    TransformStamped,
    Twist,
    TwistWithCovariance,
    Vector3,
)
from nav_msgs.msg import Odometry, Path
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from loftr_ros.drawing import draw_matches
from loftr_ros.frontend import Frontend
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.results import FrameResult, KeyframeInfo, OdometryState, PairResult
from loftr_ros.trajectory.chain import MapPoses
from perception_common.geometry import quaternion_from_matrix
from perception_common.images.conversion import fill_image
from yolc_ros.msg import Correspondences, Keyframe, MatchingStatus, RelativePose
from yolc_ros.srv import MatchKeyframes

KEYFRAME = "loftr/keyframe"
CORRESPONDENCES = "loftr/correspondences"
RELATIVE_POSE = "loftr/relative_pose"
BASE_POSE = "loftr/relative_pose_base"  # only with a base frame
POSE = "loftr/pose"
ODOMETRY = "loftr/odometry"
PATH = "loftr/path"
DEBUG_IMAGE = "loftr/debug_image"
STATUS = "loftr/status"  # the last message of each image

TOPICS: dict[str, type] = {
    KEYFRAME: Keyframe,
    CORRESPONDENCES: Correspondences,
    RELATIVE_POSE: RelativePose,
    BASE_POSE: RelativePose,
    POSE: PoseStamped,
    ODOMETRY: Odometry,
    PATH: Path,
    DEBUG_IMAGE: Image,
    STATUS: MatchingStatus,
}
"""What loftr_node publishes, by relative topic name."""

ON_DEMAND = frozenset({PATH, DEBUG_IMAGE})
"""Made for viewers: published only while somebody subscribes, and not recorded by a replay."""


BaseEdgesOf = Callable[[Sequence[PairResult]], Sequence[RelativePose]]
"""Takes the pairs of an image; returns the base edges that are known now, also those of earlier images."""


def frame_messages(
    frontend: Frontend[Any],
    result: FrameResult,
    map_frame: str,
    wants: Callable[[str], bool],
    base_edges: BaseEdgesOf | None = None,
    odometry: OdometryState | None = None,
) -> Iterator[tuple[str, Any]]:
    """Yield (topic, message) of the result of one image, the status last.

    map_frame: name of the trajectory's frame. wants: whether a topic is wanted; messages of others are not built.
    base_edges: `BaseEdges.update` where a base frame is given. odometry: of the image, from `Odometry.update`.
    """
    for topic, build in _builders(frontend, result, map_frame, base_edges, odometry):
        if wants(topic):
            yield topic, build()


def _builders(
    frontend: Frontend[Any],
    result: FrameResult,
    map_frame: str,
    base_edges: BaseEdgesOf | None,
    odometry: OdometryState | None,
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the topics of a result with functions that build their messages."""
    if keyframe := result.new_keyframe:
        yield KEYFRAME, partial(keyframe_message, keyframe)
    for pair in result.pairs:
        yield CORRESPONDENCES, partial(correspondences_message, pair, frontend.model, frontend.trained)
        yield RELATIVE_POSE, partial(relative_pose_message, pair)
    if keyframe:
        yield POSE, partial(pose_stamped_message, keyframe.stamp_ns, map_frame, result.T_map_camera)
        if odometry:
            yield ODOMETRY, partial(odometry_message, odometry)
        yield PATH, partial(path_message, frontend.trajectory.poses, map_frame)
        if result.pairs:
            yield DEBUG_IMAGE, partial(debug_image_message, frontend, result.pairs[0])
    for edge in base_edges(result.pairs) if base_edges else ():
        yield BASE_POSE, partial(_same, edge)
    yield STATUS, partial(status_message, result)


def _same(message: RelativePose) -> RelativePose:
    return message


def debug_image_message(frontend: Frontend[Any], pair: PairResult) -> Image:
    """Return a picture of the matches of a pair, whose keyframes must still be kept."""
    picture = draw_matches(
        frontend.image(pair.older.id),
        frontend.image(pair.newer.id),
        pair.matches.points0,
        pair.matches.points1,
        pair.matches.confidence,
        pair.motion.inliers,
        title=f"keyframes {pair.older.id} and {pair.newer.id}: {pair.motion.geometry.name}",
        trained=frontend.trained,
    )
    message = Image()
    fill_image(message, picture, header_of(pair.newer.stamp_ns, pair.newer.frame_id))
    return message


def header_of(stamp_ns: int, frame_id: str) -> Header:
    """Return a header."""
    return Header(stamp=Time(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9), frame_id=frame_id)


def pose_message(T: np.ndarray) -> Pose:
    """Return the Pose of a (4, 4) transform."""
    x, y, z, w = quaternion_from_matrix(T[:3, :3]).tolist()
    position = Point(x=float(T[0, 3]), y=float(T[1, 3]), z=float(T[2, 3]))
    return Pose(position=position, orientation=Quaternion(x=x, y=y, z=z, w=w))


def pose_stamped_message(stamp_ns: int, frame_id: str, T: np.ndarray) -> PoseStamped:
    """Return the PoseStamped of a (4, 4) transform from a camera to `frame_id`."""
    return PoseStamped(header=header_of(stamp_ns, frame_id), pose=pose_message(T))


def odometry_message(state: OdometryState) -> Odometry:
    """Return the Odometry of a state."""
    linear, angular = (Vector3(x=x, y=y, z=z) for x, y, z in (state.twist[:3].tolist(), state.twist[3:].tolist()))
    return Odometry(
        header=header_of(state.stamp_ns, state.frame),
        child_frame_id=state.child_frame,
        pose=PoseWithCovariance(pose=pose_message(state.T), covariance=state.covariance.ravel()),
        twist=TwistWithCovariance(
            twist=Twist(linear=linear, angular=angular), covariance=state.twist_covariance.ravel()
        ),
    )


def transform_message(message: Odometry) -> TransformStamped:
    """Return the pose of an odometry message as a transform."""
    p = message.pose.pose.position
    return TransformStamped(
        header=message.header,
        child_frame_id=message.child_frame_id,
        transform=Transform(translation=Vector3(x=p.x, y=p.y, z=p.z), rotation=message.pose.pose.orientation),
    )


def path_message(poses: MapPoses, map_frame: str) -> Path:
    """Return the Path of a trajectory, at least one pose, with the stamp of the last one."""
    stamped = [
        pose_stamped_message(stamp_ns, map_frame, T)
        for stamp_ns, T in zip(poses.stamps_ns.tolist(), poses.matrices, strict=True)
    ]
    return Path(header=stamped[-1].header, poses=stamped)


def keyframe_message(keyframe: KeyframeInfo) -> Keyframe:
    """Return the message of a keyframe; the matrices are 0 where the camera is unknown."""
    message = Keyframe(
        header=header_of(keyframe.stamp_ns, keyframe.frame_id),
        id=keyframe.id,
        width=keyframe.width,
        height=keyframe.height,
    )
    if camera := keyframe.camera:
        message.k = camera.rectified_matrix.ravel()
        message.k_original = camera.matrix.ravel()
        message.distortion_model = camera.model
        message.d = list(camera.distortion)
    return message


def correspondences_message(pair: PairResult, model: str, trained: bool) -> Correspondences:
    """Return the message of the matches of two keyframes. model, trained: of the matcher that found them."""
    matches, newer = pair.matches, keyframe_message(pair.newer)

    def floats(values: np.ndarray) -> array[float]:
        return array("f", np.ascontiguousarray(values, np.float32).tobytes())

    def integers(values: np.ndarray) -> array[int]:
        return array("I", np.ascontiguousarray(values, np.uint32).tobytes())

    def flags(values: np.ndarray) -> array[int]:
        return array("B", np.ascontiguousarray(values, np.uint8).tobytes())

    return Correspondences(
        header=newer.header,
        older=keyframe_message(pair.older),
        newer=newer,
        x0=floats(matches.points0[:, 0]),
        y0=floats(matches.points0[:, 1]),
        x1=floats(matches.points1[:, 0]),
        y1=floats(matches.points1[:, 1]),
        confidence=floats(matches.confidence),
        spread=floats(matches.spread),
        id0=integers(pair.ids0),
        id1=integers(pair.ids1),
        inlier=flags(pair.motion.inliers),
        dynamic=flags(pair.dynamic),
        model=model,
        trained=trained,
    )


def relative_pose_message(pair: PairResult) -> RelativePose:
    """Return the message of a relative pose; what it does not observe has a large variance (see covariance.py)."""
    older, newer, motion = pair.older, pair.newer, pair.motion
    header = header_of(newer.stamp_ns, newer.frame_id)
    return RelativePose(
        header=header,
        older_id=older.id,
        newer_id=newer.id,
        older_stamp=header_of(older.stamp_ns, "").stamp,
        newer_stamp=header.stamp,
        pose=PoseWithCovariance(pose=pose_message(pair.matrix), covariance=pair.covariance.ravel()),
        scale_status=int(pair.scale.source),
        geometry=int(motion.geometry),
        matches=len(pair.matches),
        inliers=int(motion.inliers.sum()),
        parallax=motion.parallax,
        residual=motion.residual,
        reason=motion.reason if motion.geometry != Geometry.GENERAL else "",
        scale_reason=pair.scale.reason,
        loop=pair.is_loop,
    )


def failed_match(reason: str) -> MatchKeyframes.Response:
    """Return the response to a request that failed."""
    return MatchKeyframes.Response(success=False, message=reason)


def match_response(pair: PairResult, model: str, trained: bool) -> MatchKeyframes.Response:
    """Return the response to a request that succeeded."""
    return MatchKeyframes.Response(
        success=True,
        correspondences=correspondences_message(pair, model, trained),
        relative_pose=relative_pose_message(pair),
    )


def status_message(result: FrameResult) -> MatchingStatus:
    """Return the status of an image."""
    keyframe, tracks = result.keyframe, result.tracks
    return MatchingStatus(
        header=header_of(result.stamp_ns, result.frame_id),
        decision=int(result.decision.outcome),
        reason=result.decision.reason,
        keyframe_id=keyframe.id if keyframe else 0,
        has_keyframe=keyframe is not None,
        matches=result.matches,
        displacement=result.displacement,
        overlap=result.change.overlap if result.change else 0.0,
        metric=result.pose is not None and result.pose.is_metric,
        track_length=tracks.mean_length if tracks else math.nan,
        reprojection_error=tracks.median_error_px if tracks else math.nan,
        observed_share=tracks.observed_share if tracks else math.nan,
        matching_seconds=float(sum(result.seconds.values())),
    )
