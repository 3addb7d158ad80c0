"""Stamps of ROS messages as integers. Works on messages of rclpy and of rosbags, and needs neither."""

from __future__ import annotations

from typing import Any


def stamp_ns(header: Any) -> int:
    """Return the stamp of a std_msgs/Header in nanoseconds."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)
