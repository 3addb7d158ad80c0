"""rtabmap_bridge: passes relative poses of loftr_node to RTAB-Map's service `add_link`.

Conventions of RTAB-Map (Link.h, Memory.cpp, OptimizerGTSAM.cpp): a link is the pose of `to` in `from`, between base
frames, in metres. Its information matrix is the inverse covariance, translation before rotation, of errors in the axes
of `to` (true T = T exp(x)), as in GTSAM and g2o. Nodes have ids of their own; the topic `info` gives the stamp of each.
Links of type neighbour fail an assertion, and a second link between neighbours is ignored, so only nodes that are not
consecutive are linked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile

from loftr_ros.bridges.edges import GraphEdge, GraphNode, GraphNodes, fill_transform
from loftr_ros.bridges.waiting import WaitingPoses
from loftr_ros.geometry.uncertainty.covariance import to_gtsam
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
from yolc_ros.msg import RelativePose

INSTALL = "apt install ros-jazzy-rtabmap-msgs"
USER_CLOSURE = 4  # rtabmap::Link::kUserClosure: a loop closure from outside
QUEUE = QoSProfile(depth=100)
_ROTATION_FIRST = np.eye(6)[[3, 4, 5, 0, 1, 2]]  # swaps translation and rotation


@dataclass(frozen=True)
class RtabmapParameters:
    """The parameters of rtabmap_bridge."""

    base_frame: str = parameter("", "RTAB-Map's frame_id, looked up in TF; empty: the optical frame")
    base_from_optical: str = parameter("", "x y z qx qy qz qw: pose of the optical frame in the base, in place of TF")
    tolerance: float = parameter(
        0.02, "maximum seconds between a node of RTAB-Map and its keyframe", low=0.0, high=10.0
    )
    reach: float = parameter(1.0, "the same with odometry for the interval", low=0.0, high=60.0)
    patience: float = parameter(5.0, "seconds that a relative pose waits for its nodes", low=0.0, high=600.0)
    min_inliers: int = parameter(30, "minimum inliers of a link", low=5, high=10_000)


def information_of(edge: GraphEdge) -> np.ndarray:
    """Return the information matrix (6, 6) in RTAB-Map's convention: translation first, errors in the axes of `to`."""
    covariance = _ROTATION_FIRST.T @ to_gtsam(edge.covariance, edge.T[:3, :3]) @ _ROTATION_FIRST
    information = np.linalg.inv(covariance)
    return (information + information.T) / 2


def fill_link(link: Any, edge: GraphEdge) -> Any:
    """Fill and return an rtabmap_msgs/Link."""
    link.from_id, link.to_id, link.type = edge.from_id, edge.to_id, USER_CLOSURE
    fill_transform(link.transform, edge.T)
    link.information = information_of(edge).ravel()
    return link


class RtabmapBridge(Node):
    """Waits until RTAB-Map has nodes near both keyframes of a relative pose, then adds a link between them."""

    def __init__(self) -> None:
        messages, services = (load_messages(f"rtabmap_msgs.{kind}", INSTALL) for kind in ("msg", "srv"))
        super().__init__("rtabmap_bridge")
        warn = self.get_logger().warning
        self.problems = Problems(warn)
        parameters = NodeParameters(self, RtabmapParameters, is_locked=lambda: True, on_change=lambda _: None)
        given = parameters.values
        for sentence in parameters.unknown(self):
            self.problems.report(sentence, sentence)
        self._nodes = GraphNodes(given.tolerance)
        self._waiting = WaitingPoses(
            "RTAB-Map",
            self._nodes,
            MountLookup(self, self.problems, given.base_frame, given.base_from_optical),
            reach=given.reach,
            patience=given.patience,
            min_inliers=given.min_inliers,
        )
        self._poses, self._loops = Traffic("relative poses", warn), Traffic("loops", warn)
        self._linked: set[tuple[int, int]] = set()
        self._service = services.AddLink
        self._client = self.create_client(services.AddLink, "rtabmap/rtabmap/add_link")
        self.create_subscription(messages.Info, "rtabmap/info", self._add_node, QUEUE)
        self.create_subscription(Odometry, "odom", self._add_odometry, QUEUE)
        self.create_subscription(RelativePose, "loftr/relative_pose", self._enqueue, QUEUE)
        rtabmap = "RTAB-Map (package rtabmap_slam)"
        self._report = BridgeReport(
            self,
            self.problems,
            (
                publisher_of(self, "rtabmap/info", rtabmap),
                server_of(self._client, rtabmap),
                publisher_of(self, "loftr/relative_pose", "loftr_node (package yolc_ros)"),
            ),
            (self._poses, self._loops),
        )

    def _enqueue(self, message: RelativePose) -> None:
        self._waiting.add(message, self._loops if message.loop else self._poses)

    def _add_odometry(self, message: Odometry) -> None:
        try:
            self._nodes.add_odometry(pose_from_odometry(message))
        except InputError as error:
            self.problems.report("odometry", str(error))
        else:
            self.problems.resolve("odometry")

    def _add_node(self, message: Any) -> None:
        """Add RTAB-Map's newest node, and send the links that waited for it."""
        now = stamp_ns(message.header)
        if message.ref_id > 0:
            self._nodes.add(GraphNode(now, int(message.ref_id)))
        if not self._client.service_is_ready():  # the report names it
            return
        for edge, traffic in self._waiting.edges(now):
            if abs(edge.to_id - edge.from_id) < 2:
                traffic.refuse("both keyframes are at one node of RTAB-Map or at two neighbours")
            elif (edge.from_id, edge.to_id) in self._linked:
                traffic.refuse("RTAB-Map has a link between both nodes already")
            else:
                self._send(edge)
                traffic.pass_on()

    def _send(self, edge: GraphEdge) -> None:
        self._linked.add((edge.from_id, edge.to_id))
        request = self._service.Request()
        fill_link(request.link, edge)
        self._client.call_async(request)
        self.get_logger().info(f"link {edge.from_id} -> {edge.to_id}")


def main(arguments: list[str] | None = None) -> int:
    """Run rtabmap_bridge."""
    example = "rtabmap_bridge --ros-args -p base_frame:=base_link -r odom:=/odom"
    return run_bridge(RtabmapBridge, "Pass relative poses of loftr_node to RTAB-Map as links.", example, arguments)
