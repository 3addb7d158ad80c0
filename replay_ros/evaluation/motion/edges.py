"""Relative poses from the messages of a bag, and the trajectory that they chain to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from loftr_ros.geometry.scale.result import ScaleSource
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.trajectory.chain import ChainEdge, chain_edges
from perception_common.geometry import matrix_from_quaternion, transform
from perception_common.stamps import stamp_ns
from perception_common.tum import Trajectory


@dataclass(frozen=True, eq=False)
class PoseEdge:
    """A relative pose between two keyframes: p_older = matrix p_newer, optical frames.

    older_ns, newer_ns: stamps, nanoseconds. matrix: (4, 4); translation in metres, or of length 1 while the scale is
    unknown. covariance: (6, 6) in ROS order, as loftr_ros/geometry/uncertainty/covariance.py defines it. matches,
    inliers: counts. parallax: degrees. residual: pixels. is_loop: it closes a loop.
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
    is_loop: bool = False

    @property
    def is_metric(self) -> bool:
        """Whether the translation is in metres."""
        return self.scale != ScaleSource.UNKNOWN and self.geometry in (Geometry.GENERAL, Geometry.PLANAR)

    @property
    def chain_edge(self) -> ChainEdge:
        """The edge as a chain takes it, keyed by stamps."""
        return ChainEdge(self.older_ns, self.newer_ns, self.matrix, geometry=self.geometry, is_metric=self.is_metric)


def edge_of_message(message: Any) -> PoseEdge:
    """Return the edge of a yolc_ros/RelativePose message, from rclpy or rosbags."""
    return PoseEdge(
        older_ns=_nanoseconds(message.older_stamp),
        newer_ns=_nanoseconds(message.newer_stamp),
        matrix=matrix_of_pose(message.pose.pose),
        covariance=np.array(message.pose.covariance, np.float64).reshape(6, 6),
        geometry=Geometry(message.geometry),
        scale=ScaleSource(message.scale_status),
        matches=message.matches,
        inliers=message.inliers,
        parallax=float(message.parallax),
        residual=float(message.residual),
        is_loop=bool(getattr(message, "loop", False)),  # older recordings do not have it
    )


def matrix_of_pose(pose: Any) -> np.ndarray:
    """Return the (4, 4) matrix of a geometry_msgs/Pose. Raises ValueError for a quaternion of length 0."""
    p, q = pose.position, pose.orientation
    return transform(matrix_from_quaternion(np.array([q.x, q.y, q.z, q.w])), np.array([p.x, p.y, p.z]))


def trajectory_of_poses(messages: Iterable[Any]) -> Trajectory:
    """Return the trajectory of geometry_msgs/PoseStamped messages, in their order; stamps may go back or repeat."""
    poses = [(stamp_ns(message.header), matrix_of_pose(message.pose)) for message in messages]
    return Trajectory.from_matrices([stamp for stamp, _ in poses], [T for _, T in poses])


def longest_run(stamps_ns: Sequence[int] | np.ndarray) -> slice:
    """Return the longest part of stamps (N,) in which they do not decrease: where they do, another run begins."""
    stamps = np.asarray(stamps_ns, np.int64)
    borders = np.concatenate([[0], np.flatnonzero(np.diff(stamps) < 0) + 1, [len(stamps)]]).astype(int)
    longest = int(np.argmax(np.diff(borders)))
    return slice(int(borders[longest]), int(borders[longest + 1]))


def chain(edges: Sequence[PoseEdge]) -> Trajectory:
    """Return the trajectory of the keyframes, in the frame of the oldest one, chained as the node chains them."""
    poses = chain_edges(edge.chain_edge for edge in edges)
    return Trajectory.from_matrices([pose.key for pose in poses], [pose.T_map_camera for pose in poses])


def chain_is_metric(edges: Sequence[PoseEdge]) -> bool:
    """Tell whether every edge that moves has metres, so that the chained trajectory has them too."""
    moving = [edge for edge in edges if edge.geometry in (Geometry.GENERAL, Geometry.PLANAR)]
    return bool(moving) and all(edge.is_metric for edge in moving)


def _nanoseconds(time: Any) -> int:
    return int(time.sec) * 1_000_000_000 + int(time.nanosec)
