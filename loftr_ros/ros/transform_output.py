"""The odometry as a transform on /tf, while no other node publishes one of the same frame."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile

from loftr_ros.ros.messages import transform_message
from perception_common.errors import InputError
from perception_common.node import transforms
from perception_common.node.problems import Problems
from perception_common.sensors.transform_tree import frame_name
from perception_common.stamps import stamp_ns

PROBLEM = "transform"  # key of the problem that another node publishes the transform
_KEPT = 1000  # transforms of ours that are told from those of others: far more than /tf holds back


class OtherPublishers:
    """Finds transforms of a frame that are not ours: a frame has one parent, and one node that says where it is.

    Thread-safe: a callback adds what arrives while the worker publishes.
    """

    def __init__(self) -> None:
        self._ours: deque[tuple[str, str, int]] = deque(maxlen=_KEPT)
        self._parents: dict[str, str] = {}  # by the frames that others publish, at most those that they have
        self._lock = threading.Lock()

    def publish(self, transform: TransformStamped) -> str:
        """Note a transform of ours, unless another node publishes that frame; returns the parent that it has there."""
        with self._lock:
            found = self._parents.get(frame_name(transform.child_frame_id), "")
            if not found:
                self._ours.append(_identity(transform))
        return found

    def add(self, message: Any) -> None:
        """Add a tf2_msgs/TFMessage."""
        with self._lock:
            for each in message.transforms:
                if _identity(each) not in self._ours:
                    self._parents[frame_name(each.child_frame_id)] = frame_name(each.header.frame_id)


class TransformOutput:
    """Publishes odometry on /tf. What another node publishes is reported to `problems`, and never published again.

    Raises InputError where tf2_msgs is not installed.
    """

    def __init__(self, node: Node, problems: Problems):
        if transforms.TFMessage is None:
            raise InputError("publish_tf needs tf2_msgs: install ros-jazzy-tf2-msgs, or leave publish_tf false")
        self._node, self._problems = node, problems
        self._others = OtherPublishers()
        self._publisher = node.create_publisher(transforms.TFMessage, "/tf", QoSProfile(depth=100))
        self._subscriptions = transforms.subscribe_transforms(
            node, lambda message, is_static: self._others.add(message), "publish_tf: false"
        )

    def publish(self, message: Odometry) -> None:
        """Publish the pose of an odometry message."""
        transform = transform_message(message)
        if parent := self._others.publish(transform):
            self._problems.report(
                PROBLEM,
                f"another node publishes {parent} -> {message.child_frame_id} on /tf: publish_tf has no effect, as a "
                "frame has one parent; set it to false, or stop the other publisher and configure again",
            )
        else:
            self._publisher.publish(transforms.TFMessage(transforms=[transform]))

    def destroy(self) -> None:
        """Destroy the publisher and the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._node.destroy_publisher(self._publisher)
        self._problems.resolve(PROBLEM)


def _identity(transform: Any) -> tuple[str, str, int]:
    return frame_name(transform.header.frame_id), frame_name(transform.child_frame_id), stamp_ns(transform.header)
