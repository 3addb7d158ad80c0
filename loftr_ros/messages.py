"""Answers of the front end as ROS messages."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, PoseStamped, PoseWithCovariance, Quaternion
from nav_msgs.msg import Path
from std_msgs.msg import Header

from loftr_ros.answers import FrameAnswer, KeyframeInfo, PairAnswer
from loftr_ros.geometry.two_view import Geometry
from perception_common.geometry import quaternion_from_matrix
from yolc_ros.msg import Correspondences, Keyframe, MatchingStatus, RelativePose


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


def path_message(poses: Iterable[PoseStamped]) -> Path:
    """Return the Path of stamped poses, with the header of the last one."""
    poses = list(poses)
    return Path(header=poses[-1].header, poses=poses)


def keyframe_message(keyframe: KeyframeInfo) -> Keyframe:
    """Return the message of a keyframe; the matrices are 0 where the camera is not known."""
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


def correspondences_message(pair: PairAnswer, model: str, trained: bool) -> Correspondences:
    """Return the message of the matches of two keyframes. model, trained: of the network that found them."""
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


def relative_pose_message(pair: PairAnswer) -> RelativePose:
    """Return the message of a relative pose; what is not known of it has a large variance (see covariance.py)."""
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
    )


def status_message(answer: FrameAnswer) -> MatchingStatus:
    """Return the status of an image, which is the last answer to it."""
    return MatchingStatus(
        header=header_of(answer.stamp_ns, answer.frame_id),
        decision=int(answer.decision.outcome),
        reason=answer.decision.reason,
        keyframe_id=answer.keyframe.id if answer.keyframe else 0,
        matches=answer.matches,
        displacement=answer.displacement,
        matching_seconds=sum(answer.seconds.values()),
    )
