"""Edges between the nodes of an external pose graph, from relative poses between our keyframes. No ROS.

A SLAM system has its own nodes with its own stamps. A keyframe of ours is assigned to the node nearest in time. The
motion between the two is small; it is compensated by odometry if available.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from loftr_ros.base_frame import edge_between_bases
from loftr_ros.sensors.readings import OdometryPose, odometry_between
from perception_common.errors import InputError
from perception_common.geometry import inverse, matrix_from_quaternion, quaternion_from_matrix, skew, transform
from perception_common.sensors.buffer import StampedBuffer
from perception_common.stamps import stamp_ns

UNUSABLE = {0: "two-view geometry failed", 3: "the camera only rotated, so the translation is unknown"}
_MAX_GAP = 0.5  # seconds, maximum between two odometry messages to interpolate; empirical
_SAME_INSTANT = 1e-3  # seconds; empirical


@dataclass(frozen=True)
class GraphNode:
    """A node of a pose graph, or a keyframe: stamp and id."""

    stamp_ns: int
    id: int


@dataclass(frozen=True, eq=False)
class GraphEdge:
    """Pose of node `to_id` in node `from_id`: p_from = T p_to, metres.

    covariance: (6, 6) in ROS order and convention, see geometry/covariance.py.
    """

    from_id: int
    to_id: int
    T: np.ndarray
    covariance: np.ndarray

    def inverse(self) -> GraphEdge:
        """Return the edge in the opposite direction.

        With R' = R^T the errors are dw' = -R' dw and dt' = -R' (dt + [t]x dw) to first order.
        """
        R, t = self.T[:3, :3], self.T[:3, 3]
        jacobian = np.zeros((6, 6))
        jacobian[:3, :3] = jacobian[3:, 3:] = -R.T
        jacobian[:3, 3:] = -R.T @ skew(t)
        return GraphEdge(self.to_id, self.from_id, inverse(self.T), jacobian @ self.covariance @ jacobian.T)


def metric_pose(message: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return T (4, 4) in metres and covariance (6, 6) of a yolc_ros/RelativePose, optical frames.

    Raises InputError for a pose without geometry, translation or metric scale, which a pose graph must not get.
    """
    if int(message.geometry) in UNUSABLE:
        raise InputError(f"{UNUSABLE[int(message.geometry)]}: the pair gives no edge")
    if int(message.scale_status) == 0:
        raise InputError("a relative pose without scale gives no edge: give loftr_node altitude, depth or odometry")
    position, orientation = message.pose.pose.position, message.pose.pose.orientation
    rotation = matrix_from_quaternion(np.array([orientation.x, orientation.y, orientation.z, orientation.w]))
    T = transform(rotation, np.array([position.x, position.y, position.z]))
    return T, np.array(message.pose.covariance, np.float64).reshape(6, 6)


@dataclass(frozen=True, eq=False)
class End:
    """One end of an edge: the node, and the pose (4, 4) of our camera at its keyframe in the base frame at the node."""

    node: GraphNode
    T_node_camera: np.ndarray


def edge_of_pose(T: np.ndarray, covariance: np.ndarray, older: End, newer: End) -> GraphEdge:
    """Make an edge of two nodes from the metric pose (4, 4) of the newer camera in the older one and its covariance."""
    moved = edge_between_bases(T, covariance, older.T_node_camera, newer.T_node_camera, is_metric=True)
    return GraphEdge(older.node.id, newer.node.id, *moved)


class GraphNodes:
    """Nodes of an external pose graph by stamp, and odometry from them to our keyframes."""

    def __init__(self, tolerance: float, size: int = 10_000):
        """tolerance: maximum seconds between a node and its keyframe without odometry. size: of the buffers."""
        self._tolerance = tolerance
        self._nodes: StampedBuffer[GraphNode] = StampedBuffer(size)
        self._by_id: dict[int, GraphNode] = {}
        self._odometry: StampedBuffer[OdometryPose] = StampedBuffer(size)

    def add(self, node: GraphNode) -> None:
        """Add a node."""
        self._nodes.add(node)
        self._by_id[node.id] = node

    def add_odometry(self, pose: OdometryPose) -> None:
        """Add a pose of the base from odometry."""
        self._odometry.add(pose)

    def node(self, node_id: int) -> GraphNode | None:
        """Return the node with this id; None if it is unknown."""
        return self._by_id.get(node_id)

    def nearest(self, stamp: int) -> GraphNode | None:
        """Return the node nearest in time to a stamp, nanoseconds; None without nodes."""
        found = self._nodes.nearest(stamp)
        return None if found is None else found.value

    def end(self, node: GraphNode, keyframe_ns: int, T_base_camera: np.ndarray | None) -> End:
        """Return the end of an edge: the pose of our camera at its keyframe in the base frame at the node.

        T_base_camera: mount of the camera at the keyframe; None if the base is the camera's optical frame. Raises
        InputError if the two stamps differ by more than the tolerance and no odometry covers the interval.
        """
        gap = abs(node.stamp_ns - keyframe_ns) / 1e9
        mount = np.eye(4) if T_base_camera is None else T_base_camera
        if gap <= _SAME_INSTANT:
            return End(node, mount)
        motion = None if T_base_camera is None else self._motion(node.stamp_ns, keyframe_ns)
        if motion is not None:
            return End(node, motion @ mount)
        if gap <= self._tolerance:
            return End(node, mount)
        raise InputError(
            f"no keyframe within {self._tolerance:g} s of a node: give odometry with base_frame, or let both systems "
            "use the same images"
        )

    def _motion(self, from_ns: int, to_ns: int) -> np.ndarray | None:
        """Pose (4, 4) of the base at the second stamp in the base at the first; None without odometry for both."""
        start, end = (self._odometry.between(stamp, odometry_between, _MAX_GAP) for stamp in (from_ns, to_ns))
        if start is None or end is None or max(start.age, end.age) > _SAME_INSTANT:
            return None
        return inverse(start.value.T) @ end.value.T


def stamped_id(message: Any) -> GraphNode:
    """Convert a message with `id` and `header`, such as yolc_ros/Keyframe, to a GraphNode."""
    return GraphNode(stamp_ns(message.header), int(message.id))


def fill_transform(transform_message: Any, T: np.ndarray) -> None:
    """Fill a geometry_msgs/Transform from a matrix (4, 4)."""
    x, y, z, w = quaternion_from_matrix(T[:3, :3]).tolist()
    rotation, translation = transform_message.rotation, transform_message.translation
    rotation.x, rotation.y, rotation.z, rotation.w = x, y, z, w
    translation.x, translation.y, translation.z = T[:3, 3].tolist()
