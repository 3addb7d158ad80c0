"""Publishes messages to a listener in another process and counts the messages that do not arrive."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import rclpy
from rclpy.signals import SignalHandlerOptions

from perception_common.errors import InputError
from perception_common.node.base import RESULT_QOS
from perception_common.node.runner import starting_ros
from replay_ros.benchmarks import listener
from replay_ros.benchmarks.machine import child_environment

DISCOVERY_SECONDS = 20.0


@dataclass(frozen=True)
class ListenedPublisher:
    """Publishers on the topics of the listener. expected: messages that the listener waits for on each topic."""

    publishers: Mapping[str, Any]
    process: subprocess.Popen[str]
    expected: int

    def publish(self, topic: str, message: Any) -> None:
        """Publish on one of `listener.TOPICS`."""
        self.publishers[topic].publish(message)

    def count_lost(self) -> int:
        """Wait for the listener to end and return the number of messages that it did not receive."""
        output, _ = self.process.communicate(timeout=2 * listener.SILENCE)
        return sum(self.expected - count for count in json.loads(output).values())


@contextmanager
def publishing(expected: int) -> Iterator[ListenedPublisher]:
    """Run a listener that expects this number of messages on each topic, and connect to it.

    Raises InputError when the listener is not discovered.
    """
    command = [sys.executable, str(listener.__file__), str(expected)]
    with starting_ros(signal_handler_options=SignalHandlerOptions.NO) as notes:  # Ctrl-C raises KeyboardInterrupt here
        node = rclpy.create_node("benchmark")
    for note in notes:
        print(f"benchmark: {note}", file=sys.stderr)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=child_environment())
    try:
        publishers = {topic: node.create_publisher(kind, topic, RESULT_QOS) for topic, kind in listener.TOPICS.items()}
        deadline = time.monotonic() + DISCOVERY_SECONDS
        while not all(publisher.get_subscription_count() for publisher in publishers.values()):
            if time.monotonic() > deadline or process.poll() is not None:
                raise InputError("stages: the subscriber in another process was not found; is ROS set up?")
            time.sleep(0.05)
        yield ListenedPublisher(publishers, process, expected)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()
        node.destroy_node()
        rclpy.try_shutdown()
