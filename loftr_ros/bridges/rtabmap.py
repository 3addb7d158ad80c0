"""rtabmap_bridge: passes relative poses of loftr_node to RTAB-Map's service `add_link`.

Conventions of RTAB-Map (Link.h, Memory.cpp, OptimizerGTSAM.cpp): a link is the pose of `to` in `from`, between base
frames, in metres. Its information matrix is the inverse covariance, translation before rotation, of errors in the axes
of `to` (true T = T exp(x)), as in GTSAM and g2o. Nodes have ids of their own; the topic `info` gives the stamp of each.
Links of type neighbour fail an assertion, and a second link between neighbours is ignored, so only nodes that are not
consecutive are linked.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile

from loftr_ros.bridges.edges import End, GraphEdge, GraphNode, GraphNodes, edge_of_pose, fill_transform, metric_pose
from loftr_ros.geometry.uncertainty.covariance import to_gtsam
from loftr_ros.ros.mount_lookup import MountLookup
from loftr_ros.sensors.messages import pose_from_odometry
from perception_common.errors import InputError
from perception_common.node.bridge import PeerWatch, load_messages, publisher_of, run_bridge, server_of
from perception_common.node.parameters import parameter
from perception_common.node.problems import Problems
from perception_common.node.ros_parameters import NodeParameters
from perception_common.stamps import stamp_ns
from yolc_ros.msg import RelativePose

INSTALL = "apt install ros-jazzy-rtabmap-msgs"
USER_CLOSURE = 4  # rtabmap::Link::kUserClosure: a loop closure from outside
QUEUE = QoSProfile(depth=100)
_PENDING = 200  # maximum number of relative poses that wait for their nodes; empirical
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
        parameters = NodeParameters(self, RtabmapParameters, is_locked=lambda: True, on_change=lambda _: None)
        self._settings = parameters.values
        self._problems = Problems(self.get_logger().warning)
        for sentence in parameters.unknown(self):
            self._problems.report(sentence, sentence)
        self._mount = MountLookup(self, self._problems, self._settings.base_frame, self._settings.base_from_optical)
        self._nodes = GraphNodes(self._settings.tolerance)
        self._pending: deque[RelativePose] = deque(maxlen=_PENDING)
        self._linked: set[tuple[int, int]] = set()
        self._service = services.AddLink
        self._client = self.create_client(services.AddLink, "rtabmap/rtabmap/add_link")
        self.create_subscription(messages.Info, "rtabmap/info", self._add_node, QUEUE)
        self.create_subscription(Odometry, "odom", self._add_odometry, QUEUE)
        self.create_subscription(RelativePose, "loftr/relative_pose", self._enqueue, QUEUE)
        rtabmap = "RTAB-Map (package rtabmap_slam)"
        self._watch = PeerWatch(
            self,
            self._problems,
            (
                publisher_of(self, "rtabmap/info", rtabmap),
                server_of(self._client, rtabmap),
                publisher_of(self, "loftr/relative_pose", "loftr_node (package yolc_ros)"),
            ),
        )

    def _enqueue(self, message: RelativePose) -> None:
        self._pending.append(message)

    def _add_odometry(self, message: Odometry) -> None:
        try:
            self._nodes.add_odometry(pose_from_odometry(message))
        except InputError as error:
            self._problems.report("odometry", str(error))

    def _add_node(self, message: Any) -> None:
        """Add RTAB-Map's newest node, and send the links that waited for it."""
        now = stamp_ns(message.header)
        if message.ref_id > 0:
            self._nodes.add(GraphNode(now, int(message.ref_id)))
        waiting = list(self._pending)
        self._pending.clear()
        for pose in waiting:
            newest = pose.newer_stamp.sec * 10**9 + pose.newer_stamp.nanosec
            if newest > now:  # the next node may be nearer to the keyframe
                self._pending.append(pose)
                continue
            try:
                edge = self._edge(pose)
            except InputError as error:
                if now - newest < self._settings.patience * 1e9:
                    self._pending.append(pose)
                else:
                    self._problems.report(str(error), f"no link: {error}")
                continue
            if edge is not None:
                self._send(edge)

    def _edge(self, pose: RelativePose) -> GraphEdge | None:
        """Convert a relative pose to an edge; None for poses that RTAB-Map cannot use.

        Raises InputError while a node is missing.
        """
        if pose.inliers < self._settings.min_inliers:
            return None
        try:
            T, covariance = metric_pose(pose)
        except InputError as error:
            self._problems.report(str(error), str(error))
            return None
        older, newer = (self._end(pose.header.frame_id, each) for each in (pose.older_stamp, pose.newer_stamp))
        if abs(newer.node.id - older.node.id) < 2 or (older.node.id, newer.node.id) in self._linked:
            return None
        return edge_of_pose(T, covariance, older, newer)

    def _end(self, frame: str, stamp: Any) -> End:
        keyframe_ns = stamp.sec * 10**9 + stamp.nanosec
        node = self._nodes.nearest(keyframe_ns)
        if node is None or abs(node.stamp_ns - keyframe_ns) > self._settings.reach * 1e9:
            raise InputError(f"RTAB-Map has no node within {self._settings.reach:g} s of a keyframe")
        T_base_camera = self._mount.lookup(frame, keyframe_ns)
        if T_base_camera is None and self._mount.is_asked_for:
            raise InputError("the pose of the camera in the base frame is unknown")
        return self._nodes.end(node, keyframe_ns, T_base_camera)

    def _send(self, edge: GraphEdge) -> None:
        if not self._client.service_is_ready():
            self._problems.report("service", f"no service {self._client.srv_name}: start RTAB-Map or remap it")
            return
        self._problems.resolve("service")
        self._linked.add((edge.from_id, edge.to_id))
        request = self._service.Request()
        fill_link(request.link, edge)
        self._client.call_async(request)
        self.get_logger().info(f"link {edge.from_id} -> {edge.to_id}")


def main(arguments: list[str] | None = None) -> int:
    """Run rtabmap_bridge."""
    example = "rtabmap_bridge --ros-args -p base_frame:=base_link -r odom:=/odom"
    return run_bridge(RtabmapBridge, "Pass relative poses of loftr_node to RTAB-Map as links.", example, arguments)
