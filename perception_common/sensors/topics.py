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


ALTITUDES = {
    "range": SensorTopic("altitude", "sensor_msgs/msg/Range", lambda s, m, _: s.add_range(m), 10),
    "float": SensorTopic(
        "altitude", "std_msgs/msg/Float64", lambda s, m, arrival: s.add_float_altitude(m, arrival), 10
    ),
    "fix": SensorTopic("altitude", "sensor_msgs/msg/NavSatFix", lambda s, m, _: s.add_fix(m), 10),
}
"""By the kind of the messages, as the parameters `altitude` name it."""
IMU = SensorTopic("imu", "sensor_msgs/msg/Imu", lambda s, m, _: s.add_imu(m), 100)
FIX = SensorTopic("fix", "sensor_msgs/msg/NavSatFix", lambda s, m, _: s.add_position(m), 10)
