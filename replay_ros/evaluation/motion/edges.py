"""Relative poses as they are evaluated, from the messages of a bag, and the trajectory that they chain to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from loftr_ros.geometry.scale.result import ScaleSource
from loftr_ros.geometry.two_view.estimation import Geometry
from perception_common.geometry import matrix_from_quaternion, transform
from perception_common.stamps import stamp_ns
from perception_common.tum import Trajectory


@dataclass(frozen=True, eq=False)
class PoseEdge:
    """A relative pose between two keyframes: p_older = matrix p_newer, optical frames.

    older_ns, newer_ns: stamps. matrix: (4, 4), its translation of length 1 while the scale is unknown. covariance:
    (6, 6) in ROS order, as loftr_ros/geometry/covariance.py defines it. matches, inliers: counts. parallax: degrees.
    residual: pixels.
    """

    older_ns: int
    newer_ns: int
    matrix: np.ndarray
    covariance: np.ndarray
    geometry: Geometry
    scale: ScaleSource
    matches: int = 0
    inliers: int = 0
    parallax: float = 0.0
    residual: float = 0.0

    @property
    def is_metric(self) -> bool:
        """Whether the length of the translation means metres."""
        return self.scale != ScaleSource.UNKNOWN and self.geometry in (Geometry.GENERAL, Geometry.PLANAR)


def edge_of_message(message: Any) -> PoseEdge:
    """Return the edge that a yolc_ros/RelativePose message holds (rclpy's and rosbags' alike)."""
    return PoseEdge(
        _nanoseconds(message.older_stamp),
        _nanoseconds(message.newer_stamp),
        matrix_of_pose(message.pose.pose),
        np.array(message.pose.covariance, np.float64).reshape(6, 6),
        Geometry(message.geometry),
        ScaleSource(message.scale_status),
        message.matches,
        message.inliers,
        float(message.parallax),
        float(message.residual),
    )


def matrix_of_pose(pose: Any) -> np.ndarray:
    """Return the (4, 4) of a geometry_msgs/Pose. Raises ValueError where its quaternion has no length."""
    p, q = pose.position, pose.orientation
    return transform(matrix_from_quaternion(np.array([q.x, q.y, q.z, q.w])), np.array([p.x, p.y, p.z]))


def trajectory_of_poses(messages: Iterable[Any]) -> Trajectory:
    """Return the trajectory of geometry_msgs/PoseStamped messages; of those with one stamp the last counts."""
    poses = {stamp_ns(message.header): matrix_of_pose(message.pose) for message in messages}
    stamps = sorted(poses)
    return Trajectory.from_matrices(stamps, [poses[stamp] for stamp in stamps])


def chain(edges: Sequence[PoseEdge]) -> Trajectory:
    """Return the trajectory of the keyframes, in the first one's frame.

    Each keyframe hangs on the newest of its older ones that has a pose; a failed edge adds no motion. One that hangs
    on nothing, as after a restart, is left out.
    """
    poses: dict[int, np.ndarray] = {}
    for edge in sorted(edges, key=lambda edge: (edge.newer_ns, -edge.older_ns)):
        if not poses:
            poses[edge.older_ns] = np.eye(4)
        if edge.older_ns in poses and edge.newer_ns not in poses:
            poses[edge.newer_ns] = poses[edge.older_ns] @ edge.matrix
    stamps = sorted(poses)
    return Trajectory.from_matrices(stamps, [poses[stamp] for stamp in stamps])


def chain_is_metric(edges: Sequence[PoseEdge]) -> bool:
    """Tell whether every edge that moves has metres, so that the chained trajectory has them too."""
    moving = [edge for edge in edges if edge.geometry in (Geometry.GENERAL, Geometry.PLANAR)]
    return bool(moving) and all(edge.is_metric for edge in moving)


def _nanoseconds(time: Any) -> int:
    return int(time.sec) * 1_000_000_000 + int(time.nanosec)
