"""swarm_slam_bridge: gives Swarm-SLAM the loop closures of loftr_node, in place of Swarm-SLAM's own front end.

Swarm-SLAM's loop closure detection (Lajoie and Beltrame, "Swarm-SLAM", RA-L 2024) requests a match of two keyframes of
one robot on `local_keyframe_match`. This node publishes the result on `intra_robot_loop_closure` for the back end: the
pose of keyframe 1 in keyframe 0, in metres, between the frames of its odometry. The message has no covariance, and the
back end gives every edge the same noise, so uncertain poses are reported as failures.

The back end does not compare closures with requests: each successful one becomes a factor (decentralized_pgo.cpp of
lajoiepy/cslam at fccf887). So loops that loftr_node found are published too, and no pair of keyframes twice.
"""

from __future__ import annotations

from dataclasses import dataclass
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
from loftr_ros.bridges.match_request import MatchRequest, assign
from loftr_ros.bridges.waiting import WaitingPoses, mount_at
from loftr_ros.ros.mount_lookup import MountLookup
from loftr_ros.sensors.messages import pose_from_odometry
from perception_common.errors import InputError
from perception_common.node.bridges.peers import publisher_of, server_of
from perception_common.node.bridges.report import BridgeReport
from perception_common.node.bridges.running import load_messages, run_bridge
from perception_common.node.bridges.traffic import Traffic
from perception_common.node.parameters import parameter
from perception_common.node.problems import Problems
from perception_common.node.ros_parameters import NodeParameters
from perception_common.stamps import stamp_ns
from yolc_ros.msg import Keyframe, RelativePose
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
    patience: float = parameter(5.0, "seconds that a loop waits for Swarm-SLAM's keyframes", low=0.0, high=600.0)
    min_inliers: int = parameter(30, "minimum inliers of a loop closure", low=5, high=10_000)


def fill_closure(closure: Any, keyframe0_id: int, keyframe1_id: int, edge: GraphEdge | None) -> Any:
    """Fill and return an IntraRobotLoopClosure; without an edge it reports a failed match."""
    closure.keyframe0_id, closure.keyframe1_id = keyframe0_id, keyframe1_id
    closure.success = edge is not None
    if edge is not None:
        ordered = edge if edge.from_id == keyframe0_id else edge.inverse()
        fill_transform(closure.transform, ordered.T)
    return closure


class SwarmSlamBridge(Node):
    """Assigns keyframes by stamp, and publishes the loops of loftr_node and the results of its match_keyframes."""

    def __init__(self) -> None:
        messages = load_messages("cslam_common_interfaces.msg", INSTALL)
        super().__init__("swarm_slam_bridge")
        warn = self.get_logger().warning
        self.problems = Problems(warn)
        parameters = NodeParameters(self, SwarmSlamParameters, is_locked=lambda: True, on_change=lambda _: None)
        self._settings = given = parameters.values
        for sentence in parameters.unknown(self):
            self.problems.report(sentence, sentence)
        self._mount = MountLookup(self, self.problems, given.base_frame, given.base_from_optical)
        self._theirs = GraphNodes(given.tolerance)
        self._ours = GraphNodes(given.tolerance)
        self._frames: dict[int, str] = {}
        self._waiting = WaitingPoses(
            "Swarm-SLAM",
            self._theirs,
            self._mount,
            reach=given.reach,
            patience=given.patience,
            min_inliers=given.min_inliers,
        )
        self._requests, self._loops = Traffic("requests", warn), Traffic("loops", warn)
        self._closed: set[frozenset[int]] = set()  # pairs of keyframes that the back end has a closure of
        self._closure = messages.IntraRobotLoopClosure
        self._publisher = self.create_publisher(self._closure, "cslam/intra_robot_loop_closure", QUEUE)
        self._client = self.create_client(MatchKeyframes, "match_keyframes")
        self.create_subscription(messages.KeyframeOdom, "cslam/keyframe_odom", self._add_their_keyframe, QUEUE)
        self.create_subscription(Keyframe, "loftr/keyframe", self._add_our_keyframe, QUEUE)
        self.create_subscription(RelativePose, "loftr/relative_pose", self._enqueue, QUEUE)
        self.create_subscription(Odometry, "odom", self._add_odometry, QUEUE)
        self.create_subscription(messages.LocalKeyframeMatch, "cslam/local_keyframe_match", self._match, QUEUE)
        swarm_slam, ours = "Swarm-SLAM (package cslam)", "loftr_node (package yolc_ros)"
        self._report = BridgeReport(
            self,
            self.problems,
            (
                publisher_of(self, "cslam/keyframe_odom", swarm_slam),
                publisher_of(self, "cslam/local_keyframe_match", swarm_slam),
                publisher_of(self, "loftr/keyframe", ours),
                publisher_of(self, "loftr/relative_pose", ours),
                server_of(self._client, ours),
            ),
            (self._requests, self._loops),
        )

    def _add_their_keyframe(self, message: Any) -> None:
        """Add Swarm-SLAM's newest keyframe, and publish the loops that waited for it."""
        node = GraphNode(stamp_ns(message.odom.header), int(message.id))
        self._theirs.add(node)
        for edge, traffic in self._waiting.edges(node.stamp_ns):
            ids = edge.from_id, edge.to_id
            try:
                self._close(ids, edge)
            except InputError as error:
                traffic.refuse(str(error))
            else:
                traffic.pass_on()
                self.get_logger().info(f"keyframes {ids[0]} and {ids[1]}: loop found by loftr_node")

    def _add_our_keyframe(self, message: Keyframe) -> None:
        self._ours.add(stamped_id(message))
        self._frames[int(message.id)] = message.header.frame_id

    def _enqueue(self, message: RelativePose) -> None:
        if message.loop:
            self._waiting.add(message, self._loops)

    def _add_odometry(self, message: Odometry) -> None:
        try:
            self._theirs.add_odometry(pose_from_odometry(message))
        except InputError as error:
            self.problems.report("odometry", str(error))
        else:
            self.problems.resolve("odometry")

    def _match(self, message: Any) -> None:
        self._requests.receive()
        ids = int(message.keyframe0_id), int(message.keyframe1_id)
        try:
            if not self._client.service_is_ready():
                raise InputError(f"no service {self._client.srv_name}: start loftr_node")
            request = assign(*ids, theirs=self._theirs, ours=self._ours, reach=self._settings.reach)
        except InputError as error:
            self._fail_request(ids, str(error))
            return
        older, newer = request.ours
        future = self._client.call_async(MatchKeyframes.Request(older_id=older.id, newer_id=newer.id))
        future.add_done_callback(partial(self._receive, ids, request))

    def _receive(self, ids: tuple[int, int], request: MatchRequest, future: Future) -> None:
        try:
            self._close(ids, self._edge(request, future.result()))
        except InputError as error:
            self._fail_request(ids, str(error))
        else:
            self._requests.pass_on()
            self.get_logger().info(f"keyframes {ids[0]} and {ids[1]}: loop closure")

    def _edge(self, request: MatchRequest, response: Any) -> GraphEdge:
        if not response.success:
            raise InputError(response.message)
        if response.relative_pose.inliers < self._settings.min_inliers:
            raise InputError(f"fewer than {self._settings.min_inliers} inliers")
        T, covariance = metric_pose(response.relative_pose)
        older, newer = (
            self._theirs.end(node, own.stamp_ns, mount_at(self._mount, self._frames.get(own.id, ""), own.stamp_ns))
            for node, own in zip(request.nodes, request.ours, strict=True)
        )
        return edge_of_pose(T, covariance, older, newer)

    def _close(self, ids: tuple[int, int], edge: GraphEdge) -> None:
        """Publish a loop closure. Raises InputError where the back end would take it twice, or for one keyframe."""
        if ids[0] == ids[1]:
            raise InputError("both keyframes are nearest to the same keyframe of Swarm-SLAM")
        if frozenset(ids) in self._closed:
            raise InputError("Swarm-SLAM has a loop closure of both keyframes already")
        self._closed.add(frozenset(ids))
        self._publisher.publish(fill_closure(self._closure(), keyframe0_id=ids[0], keyframe1_id=ids[1], edge=edge))

    def _fail_request(self, ids: tuple[int, int], reason: str) -> None:
        self._requests.refuse(reason)
        self._publisher.publish(fill_closure(self._closure(), keyframe0_id=ids[0], keyframe1_id=ids[1], edge=None))
        self.get_logger().info(f"keyframes {ids[0]} and {ids[1]}: {reason}")


def main(arguments: list[str] | None = None) -> int:
    """Run swarm_slam_bridge."""
    example = "swarm_slam_bridge --ros-args -r __ns:=/r0 -p base_frame:=base_link -r odom:=/r0/odom"
    return run_bridge(SwarmSlamBridge, "Match keyframes for Swarm-SLAM with loftr_node.", example, arguments)
