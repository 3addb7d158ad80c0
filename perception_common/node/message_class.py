"""Message classes by the names of their types."""

from __future__ import annotations

import importlib


def message_class(type_name: str) -> type:
    """Return the class of a ROS type such as "sensor_msgs/msg/Range".

    Raises ImportError and AttributeError where the package or the message is not installed.
    """
    package, kind, name = type_name.split("/")
    return getattr(importlib.import_module(f"{package}.{kind}"), name)
