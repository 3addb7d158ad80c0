"""swarm_slam_bridge: matches keyframes for Swarm-SLAM with loftr_node, in place of Swarm-SLAM's own front end.

Swarm-SLAM's loop closure detection (Lajoie and Beltrame, "Swarm-SLAM", RA-L 2024) requests a match of two keyframes of
one robot on `local_keyframe_match`. This node publishes the result on `intra_robot_loop_closure` for the back end: the
pose of keyframe 1 in keyframe 0, in metres, between the frames of its odometry. The message has no covariance, and the
back end gives every edge the same noise, so uncertain poses are reported as failures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.task import Future

from loftr_ros.bridges.edges import (
    GraphEdge,
    GraphNode,
    GraphNodes,
    edge_of_pose,
    fill_transform,
    metric_pose,
    stamped_id,
)
from loftr_ros.ros.mount_lookup import MountLookup
from loftr_ros.sensors.messages import pose_from_odometry
from perception_common.errors import InputError
from perception_common.node.bridge import PeerWatch, load_messages, publisher_of, run_bridge, server_of
from perception_common.node.parameters import parameter
from perception_common.node.problems import Problems
from perception_common.node.ros_parameters import NodeParameters
from perception_common.stamps import stamp_ns
from yolc_ros.msg import Keyframe
from yolc_ros.srv import MatchKeyframes

INSTALL = "build Swarm-SLAM (https://github.com/MISTLab/Swarm-SLAM, no apt package) in a workspace"
QUEUE = QoSProfile(depth=100)


@dataclass(frozen=True)
class SwarmSlamParameters:
    """The parameters of swarm_slam_bridge."""

    base_frame: str = parameter("", "Swarm-SLAM's sensor_base_frame_id, looked up in TF; empty: the optical frame")
    base_from_optical: str = parameter("", "x y z qx qy qz qw: pose of the optical frame in the base, in place of TF")
    tolerance: float = parameter(0.02, "maximum seconds between a keyframe of Swarm-SLAM and ours", low=0.0, high=10.0)
    reach: float = parameter(1.0, "the same with odometry for the interval", low=0.0, high=60.0)
    min_inliers: int = parameter(30, "minimum inliers of a loop closure", low=5, high=10_000)


def fill_closure(closure: Any, keyframe0_id: int, keyframe1_id: int, edge: GraphEdge | None) -> Any:
    """Fill and return an IntraRobotLoopClosure; without an edge it reports a failed match."""
    closure.keyframe0_id, closure.keyframe1_id = keyframe0_id, keyframe1_id
    closure.success = edge is not None
    if edge is not None:
        ordered = edge if edge.from_id == keyframe0_id else edge.inverse()
        fill_transform(closure.transform, ordered.T)
    return closure


@dataclass(frozen=True)
class MatchRequest:
    """Two keyframes of Swarm-SLAM and the keyframes of ours assigned to them, in the same order."""

    nodes: tuple[GraphNode, GraphNode]
    ours: tuple[GraphNode, GraphNode]

    @property
    def in_order(self) -> MatchRequest:
        """The same request with the older keyframe of ours first."""
        if self.ours[0].id <= self.ours[1].id:
            return self
        return replace(self, nodes=self.nodes[::-1], ours=self.ours[::-1])


class SwarmSlamBridge(Node):
    """Assigns keyframes by stamp, calls loftr_node's service match_keyframes and publishes the result."""

    def __init__(self) -> None:
        messages = load_messages("cslam_common_interfaces.msg", INSTALL)
        super().__init__("swarm_slam_bridge")
        parameters = NodeParameters(self, SwarmSlamParameters, is_locked=lambda: True, on_change=lambda _: None)
        self._settings = parameters.values
        self._problems = Problems(self.get_logger().warning)
        for sentence in parameters.unknown(self):
            self._problems.report(sentence, sentence)
        self._mount = MountLookup(self, self._problems, self._settings.base_frame, self._settings.base_from_optical)
        self._theirs = GraphNodes(self._settings.tolerance)
        self._ours = GraphNodes(self._settings.tolerance)
        self._frames: dict[int, str] = {}
        self._closure = messages.IntraRobotLoopClosure
        self._publisher = self.create_publisher(self._closure, "cslam/intra_robot_loop_closure", QUEUE)
        self._client = self.create_client(MatchKeyframes, "match_keyframes")
        self.create_subscription(messages.KeyframeOdom, "cslam/keyframe_odom", self._add_their_keyframe, QUEUE)
        self.create_subscription(Keyframe, "loftr/keyframe", self._add_our_keyframe, QUEUE)
        self.create_subscription(Odometry, "odom", self._add_odometry, QUEUE)
        self.create_subscription(messages.LocalKeyframeMatch, "cslam/local_keyframe_match", self._match, QUEUE)
        swarm_slam, ours = "Swarm-SLAM (package cslam)", "loftr_node (package yolc_ros)"
        self._watch = PeerWatch(
            self,
            self._problems,
            (
                publisher_of(self, "cslam/keyframe_odom", swarm_slam),
                publisher_of(self, "cslam/local_keyframe_match", swarm_slam),
                publisher_of(self, "loftr/keyframe", ours),
                server_of(self._client, ours),
            ),
        )

    def _add_their_keyframe(self, message: Any) -> None:
        self._theirs.add(GraphNode(stamp_ns(message.odom.header), int(message.id)))

    def _add_our_keyframe(self, message: Keyframe) -> None:
        self._ours.add(stamped_id(message))
        self._frames[int(message.id)] = message.header.frame_id

    def _add_odometry(self, message: Odometry) -> None:
        try:
            self._theirs.add_odometry(pose_from_odometry(message))
        except InputError as error:
            self._problems.report("odometry", str(error))

    def _match(self, message: Any) -> None:
        ids = int(message.keyframe0_id), int(message.keyframe1_id)
        try:
            request = self._request(keyframe0_id=ids[0], keyframe1_id=ids[1])
        except InputError as error:
            self._publish(ids, None, str(error))
            return
        older, newer = request.ours
        future = self._client.call_async(MatchKeyframes.Request(older_id=older.id, newer_id=newer.id))
        future.add_done_callback(partial(self._receive, ids, request))

    def _request(self, keyframe0_id: int, keyframe1_id: int) -> MatchRequest:
        if not self._client.service_is_ready():
            raise InputError(f"no service {self._client.srv_name}: start loftr_node")
        nodes = [self._theirs.node(each) for each in (keyframe0_id, keyframe1_id)]
        if nodes[0] is None or nodes[1] is None:
            raise InputError("a requested keyframe was never received on cslam/keyframe_odom")
        ours = [self._ours.nearest(node.stamp_ns) for node in nodes if node]
        if ours[0] is None or ours[1] is None:
            raise InputError("no keyframe was received on loftr/keyframe yet")
        if ours[0].id == ours[1].id:
            raise InputError("both requested keyframes are nearest to the same keyframe of loftr_node")
        for node, own in zip(nodes, ours, strict=True):
            if node and own and abs(node.stamp_ns - own.stamp_ns) > self._settings.reach * 1e9:
                raise InputError(f"no keyframe of loftr_node within {self._settings.reach:g} s of a requested one")
        return MatchRequest((nodes[0], nodes[1]), (ours[0], ours[1])).in_order

    def _receive(self, ids: tuple[int, int], request: MatchRequest, future: Future) -> None:
        try:
            edge = self._edge(request, future.result())
        except InputError as error:
            self._publish(ids, None, str(error))
            return
        self._publish(ids, edge, "")

    def _edge(self, request: MatchRequest, response: Any) -> GraphEdge:
        if not response.success:
            raise InputError(response.message)
        if response.relative_pose.inliers < self._settings.min_inliers:
            raise InputError(f"{response.relative_pose.inliers} inliers, fewer than {self._settings.min_inliers}")
        T, covariance = metric_pose(response.relative_pose)
        older, newer = (
            self._theirs.end(node, own.stamp_ns, self._mount_at(own))
            for node, own in zip(request.nodes, request.ours, strict=True)
        )
        return edge_of_pose(T, covariance, older, newer)

    def _mount_at(self, own: GraphNode) -> Any:
        T = self._mount.lookup(self._frames.get(own.id, ""), own.stamp_ns)
        if T is None and self._mount.is_asked_for:
            raise InputError("the pose of the camera in the base frame is unknown")
        return T

    def _publish(self, ids: tuple[int, int], edge: GraphEdge | None, reason: str) -> None:
        self._publisher.publish(fill_closure(self._closure(), keyframe0_id=ids[0], keyframe1_id=ids[1], edge=edge))
        self.get_logger().info(f"keyframes {ids[0]} and {ids[1]}: " + (reason or "loop closure"))


def main(arguments: list[str] | None = None) -> int:
    """Run swarm_slam_bridge."""
    example = "swarm_slam_bridge --ros-args -r __ns:=/r0 -p base_frame:=base_link -r odom:=/r0/odom"
    return run_bridge(SwarmSlamBridge, "Match keyframes for Swarm-SLAM with loftr_node.", example, arguments)
