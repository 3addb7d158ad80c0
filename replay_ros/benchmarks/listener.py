"""Subscriber in its own process that receives the messages published by the benchmark `stages`."""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from functools import partial
from typing import Any

import rclpy

from perception_common.node.base import RESULT_QOS
from perception_common.node.runner import starting_ros
from yolc_ros.msg import Correspondences, DetectionArray, RelativePose

TOPICS: dict[str, type] = {
    "benchmark/detections": DetectionArray,
    "benchmark/correspondences": Correspondences,
    "benchmark/relative_pose": RelativePose,
}
SILENCE = 30.0  # seconds without a message after which the listener stops waiting


def main() -> None:
    """Receive the given number of messages on each topic and print the counts. Started by `publisher`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("messages", type=int)
    expected = parser.parse_args().messages
    counts: Counter[str] = Counter()
    with starting_ros():
        node = rclpy.create_node("benchmark_listener")
    for topic, kind in TOPICS.items():
        node.create_subscription(kind, topic, partial(_count, counts, topic), RESULT_QOS)
    latest, last_total = time.monotonic(), 0
    while min(counts[topic] for topic in TOPICS) < expected and time.monotonic() - latest < SILENCE:
        rclpy.spin_once(node, timeout_sec=1.0)
        if counts.total() > last_total:
            latest, last_total = time.monotonic(), counts.total()
    rclpy.shutdown()
    print(json.dumps({topic: counts[topic] for topic in TOPICS}))


def _count(counts: Counter[str], topic: str, _: Any) -> None:
    counts[topic] += 1


if __name__ == "__main__":
    main()
