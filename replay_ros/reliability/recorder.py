"""Records the answers of both nodes in a bag until SIGINT, in a process of its own."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.qos import QoSProfile, QoSReliabilityPolicy

from perception_common.node.runner import starting_ros
from replay_ros.bags.writer import BagWriter
from replay_ros.outputs import DETECTIONS, OUTPUTS, STATUS, type_name

_RELIABLE = QoSProfile(depth=100, reliability=QoSReliabilityPolicy.RELIABLE)


def main() -> None:
    """Record. Started by `chaos.disk_faults`; the argument is the bag."""
    with starting_ros():
        node = rclpy.create_node("recorder")
    with BagWriter(Path(sys.argv[1]), flush_seconds=1.0) as writer:
        for topic in (DETECTIONS, STATUS):
            writer.declare(topic, type_name(OUTPUTS[topic]))
            record = partial(_record, writer, topic)
            node.create_subscription(OUTPUTS[topic], topic, record, _RELIABLE, raw=True)
        with suppress(KeyboardInterrupt, ExternalShutdownException):
            rclpy.spin(node)
    rclpy.try_shutdown()


def _record(writer: BagWriter, topic: str, data: bytes) -> None:
    writer.write_raw(topic, data, time.time_ns())


if __name__ == "__main__":
    main()
