"""Subscriptions of a node to /tf and /tf_static, where tf2_msgs is installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from perception_common.errors import InputError

try:
    from tf2_msgs.msg import TFMessage
except ImportError:  # optional: parameters give fixed mounts without it
    TFMessage = None


def subscribe_transforms(node: Node, add: Callable[..., None], instead: str) -> list[Any]:
    """Return subscriptions that call add(message, is_static=...) with each tf2_msgs/TFMessage.

    instead: what the user may give in place of transforms, for the InputError where tf2_msgs is missing.
    """
    if TFMessage is None:
        raise InputError(f"tf2_msgs is not installed: give {instead} or install ros-jazzy-tf2-msgs")
    latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    return [
        node.create_subscription(TFMessage, topic, partial(add, is_static=is_static), qos)
        for topic, is_static, qos in (("/tf_static", True, latched), ("/tf", False, QoSProfile(depth=100)))
    ]
