"""The mount of the camera for a node: from a parameter, or from /tf and /tf_static where tf2_msgs is installed."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from loftr_ros.sensors.camera_mount import CameraMount
from perception_common.node.problems import Problems

try:
    from tf2_msgs.msg import TFMessage
except ImportError:  # optional: base_from_optical works without it
    TFMessage = None


class MountLookup:
    """Fills `mount` from the topics, see loftr_ros/sensors/camera_mount.py, and reports what is missing to `problems`.

    Raises InputError for a text that is no mount.
    """

    def __init__(self, node: Node, problems: Problems, base_frame: str, base_from_optical: str):
        self.mount = CameraMount(base_frame, base_from_optical)
        self._problems = problems
        self._node = node
        self._subscriptions: list[Any] = []
        if not self.mount.needs_transforms:
            return
        if TFMessage is None:
            problems.report(
                "tf",
                "tf2_msgs is not installed: give base_from_optical (x y z qx qy qz qw) or install ros-jazzy-tf2-msgs",
            )
            return
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._subscriptions = [
            node.create_subscription(TFMessage, topic, partial(self.mount.add, is_static=is_static), qos)
            for topic, is_static, qos in (("/tf_static", True, latched), ("/tf", False, QoSProfile(depth=100)))
        ]

    @property
    def is_asked_for(self) -> bool:
        """Whether the user wants base-frame edges at all."""
        return self.mount.is_asked_for

    @property
    def is_available(self) -> bool:
        """Whether a mount can become known: by the parameter, or by the subscriptions to the transforms."""
        return bool(self._subscriptions) or not self.mount.needs_transforms

    def lookup(self, optical_frame: str, stamp_ns: int) -> np.ndarray | None:
        """Return T_base_camera (4, 4) at a stamp; None where it is unknown, which is reported once."""
        found = self.mount.find(optical_frame, stamp_ns)
        if found.T is None and self._subscriptions:
            self._problems.report("tf", f"{found.reason}: no base edges")
        elif self._subscriptions:
            self._problems.resolve("tf")
        return found.T

    def destroy(self) -> None:
        """Destroy the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
