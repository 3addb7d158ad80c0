"""The mount of the camera for a node: from a parameter, or from /tf and /tf_static where tf2_msgs is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from loftr_ros.base_frame import parse_mount
from loftr_ros.sensors.transform_tree import TransformTree
from perception_common.node.problems import Problems

try:
    from tf2_msgs.msg import TFMessage
except ImportError:  # optional: base_from_optical works without it
    TFMessage = None


class MountLookup:
    """T_base_optical by stamp.

    base_frame: name of the base; empty: do not use TF. base_from_optical: "x y z qx qy qz qw", overrides TF. With
    both empty there is no mount and `lookup` returns None. A missing transform is reported to `problems`, once.
    Raises InputError for a text that is no mount.
    """

    def __init__(self, node: Node, problems: Problems, base_frame: str, base_from_optical: str):
        self._fixed = parse_mount(base_from_optical) if base_from_optical else None
        self._base_frame = base_frame
        self._problems = problems
        self._node = node
        self._subscriptions: list[Any] = []
        self._tree = TransformTree()
        if self._fixed is not None or not base_frame:
            return
        if TFMessage is None:
            problems.report(
                "tf",
                "tf2_msgs is not installed: give base_from_optical (x y z qx qy qz qw) or install ros-jazzy-tf2-msgs",
            )
            return
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._subscriptions = [
            node.create_subscription(TFMessage, "/tf_static", lambda message: self._add(message, True), latched),
            node.create_subscription(
                TFMessage, "/tf", lambda message: self._add(message, False), QoSProfile(depth=100)
            ),
        ]

    @property
    def is_asked_for(self) -> bool:
        """Whether the user wants base-frame edges at all."""
        return self._fixed is not None or bool(self._base_frame)

    def lookup(self, optical_frame: str, stamp_ns: int) -> np.ndarray | None:
        """Return T_base_optical (4, 4) at a stamp; None where it is unknown."""
        if self._fixed is not None:
            return self._fixed
        if not self._subscriptions:
            return None
        T = self._tree.lookup(self._base_frame, optical_frame, stamp_ns)
        if T is None:
            self._problems.report("tf", f"/tf has no way from {optical_frame!r} to {self._base_frame!r}: no base edges")
        else:
            self._problems.resolve("tf")
        return T

    def destroy(self) -> None:
        """Destroy the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _add(self, message: Any, is_static: bool) -> None:
        for each in message.transforms:
            self._tree.add(each, is_static=is_static)
