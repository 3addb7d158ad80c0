"""A sensor topic of a node: what it subscribes to, and what the replay reads from a bag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Add = Callable[[Any, Any, int], bool]  # (sensors, message, arrival in nanoseconds) -> whether it is usable


@dataclass(frozen=True)
class SensorTopic:
    """A relative topic name with its ROS type, the function that adds its messages, and its queue depth."""

    name: str
    type: str
    add: Add
    depth: int
