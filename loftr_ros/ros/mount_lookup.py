"""The mount of the camera for a node: from a parameter, or from /tf and /tf_static where tf2_msgs is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
from rclpy.node import Node

from loftr_ros.sensors.camera_mount import CameraMount
from perception_common.errors import InputError
from perception_common.node.problems import Problems
from perception_common.node.transforms import subscribe_transforms


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
        try:
            self._subscriptions = subscribe_transforms(node, self.mount.add, "base_from_optical (x y z qx qy qz qw)")
        except InputError as error:
            problems.report("tf", str(error))

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
