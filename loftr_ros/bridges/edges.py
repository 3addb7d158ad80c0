"""Edges between the nodes of somebody else's pose graph, from relative poses between our keyframes. Pure.

A SLAM system counts its own nodes, taken at its own stamps. A keyframe of ours stands for the node next to it in time;
the way between the two is small, and odometry bridges it where it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from loftr_ros.base_frame import edge_between_bases
from loftr_ros.sensors.buffer import StampedBuffer
from loftr_ros.sensors.readings import OdometryPose, odometry_between
from perception_common.errors import InputError
from perception_common.geometry import inverse, matrix_from_quaternion, quaternion_from_matrix, skew, transform
from perception_common.stamps import stamp_ns

UNUSABLE = {0: "two-view geometry failed", 3: "the camera only turned: there is no translation to be seen"}
_MAX_GAP = 0.5  # seconds between two odometry messages that are interpolated
_SAME_INSTANT = 1e-3  # seconds


@dataclass(frozen=True)
class GraphNode:
    """A node of a pose graph: its number there, and when it was taken."""

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
        """Return the same edge from the other end.

        With R' = R^T its errors are dw' = -R' dw and dt' = -R' (dt + [t]x dw) to first order.
        """
        R, t = self.T[:3, :3], self.T[:3, 3]
        jacobian = np.zeros((6, 6))
        jacobian[:3, :3] = jacobian[3:, 3:] = -R.T
        jacobian[:3, 3:] = -R.T @ skew(t)
        return GraphEdge(self.to_id, self.from_id, inverse(self.T), jacobian @ self.covariance @ jacobian.T)


def metric_pose(message: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return T (4, 4) in metres and covariance (6, 6) of a yolc_ros/RelativePose, optical frames.

    Raises InputError, with what to do, for one that no pose graph should get: without geometry, translation or scale.
    """
    if int(message.geometry) in UNUSABLE:
        raise InputError(f"{UNUSABLE[int(message.geometry)]}: the pair gives no edge")
    if int(message.scale_status) == 0:
        raise InputError("a relative pose without metres gives no edge: give loftr_node altitude, depth or odometry")
    position, orientation = message.pose.pose.position, message.pose.pose.orientation
    rotation = matrix_from_quaternion(np.array([orientation.x, orientation.y, orientation.z, orientation.w]))
    T = transform(rotation, np.array([position.x, position.y, position.z]))
    return T, np.array(message.pose.covariance, np.float64).reshape(6, 6)


@dataclass(frozen=True, eq=False)
class End:
    """One end of an edge: the node, and the pose (4, 4) of our camera, at its keyframe, in the base at the node."""

    node: GraphNode
    T_node_camera: np.ndarray


def edge_of_pose(T: np.ndarray, covariance: np.ndarray, older: End, newer: End) -> GraphEdge:
    """Carry the metric pose of the newer camera in the older one, with its covariance, over to the two nodes."""
    moved = edge_between_bases(T, covariance, older.T_node_camera, newer.T_node_camera, is_metric=True)
    return GraphEdge(older.node.id, newer.node.id, *moved)


class GraphNodes:
    """The nodes of somebody else's graph by their stamps, and the odometry from them to our keyframes."""

    def __init__(self, tolerance: float, size: int = 10_000):
        """tolerance: seconds between a node and a keyframe that stands for it, without odometry between them."""
        self._tolerance = tolerance
        self._nodes: StampedBuffer[GraphNode] = StampedBuffer(size)
        self._by_id: dict[int, GraphNode] = {}
        self._odometry: StampedBuffer[OdometryPose] = StampedBuffer(size)

    def add(self, node: GraphNode) -> None:
        """Learn of a node."""
        self._nodes.add(node)
        self._by_id[node.id] = node

    def add_odometry(self, pose: OdometryPose) -> None:
        """Learn where the base was."""
        self._odometry.add(pose)

    def node(self, node_id: int) -> GraphNode | None:
        """Return the node of that number."""
        return self._by_id.get(node_id)

    def nearest(self, stamp: int) -> GraphNode | None:
        """Return the node next in time to a stamp."""
        found = self._nodes.nearest(stamp)
        return None if found is None else found.value

    def end(self, node: GraphNode, keyframe_ns: int, T_base_camera: np.ndarray | None) -> End:
        """Return the end of an edge: where our camera was at its keyframe, seen from the base at the node.

        T_base_camera: mount of the camera at the keyframe; None where the base is the camera's optical frame. Raises
        InputError where too long a way between the two is not known.
        """
        gap = abs(node.stamp_ns - keyframe_ns) / 1e9
        mount = np.eye(4) if T_base_camera is None else T_base_camera
        if gap <= _SAME_INSTANT:
            return End(node, mount)
        way = None if T_base_camera is None else self._way(node.stamp_ns, keyframe_ns)
        if way is not None:
            return End(node, way @ mount)
        if gap <= self._tolerance:
            return End(node, mount)
        raise InputError(
            f"no keyframe within {self._tolerance:g} s of node {node.id} ({gap:.2f} s): give odometry with base_frame, "
            "or let both systems take the same images"
        )

    def _way(self, from_ns: int, to_ns: int) -> np.ndarray | None:
        start, end = (self._odometry.between(stamp, odometry_between, _MAX_GAP) for stamp in (from_ns, to_ns))
        if start is None or end is None or max(start.age, end.age) > _SAME_INSTANT:
            return None
        return inverse(start.value.T) @ end.value.T


def stamped_id(message: Any) -> GraphNode:
    """Return the GraphNode of a message with `id` and `header`, such as yolc_ros/Keyframe."""
    return GraphNode(stamp_ns(message.header), int(message.id))


def fill_transform(transform_message: Any, T: np.ndarray) -> None:
    """Fill a geometry_msgs/Transform with (4, 4)."""
    x, y, z, w = quaternion_from_matrix(T[:3, :3]).tolist()
    rotation, translation = transform_message.rotation, transform_message.translation
    rotation.x, rotation.y, rotation.z, rotation.w = x, y, z, w
    translation.x, translation.y, translation.z = T[:3, 3].tolist()
