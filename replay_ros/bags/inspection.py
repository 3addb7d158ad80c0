"""The command `bag_info`: what is in a bag, how well it was recorded, and what this package can do with it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from perception_common.cameras.camera import Camera
from perception_common.cli import run
from perception_common.errors import InputError
from perception_common.images.conversion import to_rgb
from replay_ros.bags.bag_report import BagReport, TopicReport, describe
from replay_ros.bags.messages import stamp_of
from replay_ros.bags.reader import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, Bag, Topic, is_depth_topic, open_bag
from replay_ros.bags.usability import assess_usability

EXAMPLE = """\
example:
  bag_info flight_bag
  bag_info flight_bag --json > flight_bag.json
"""


def inspect_bag(bag: Bag) -> BagReport:
    """Read a bag from end to end and report on it. Raises InputError where it is damaged."""
    received: dict[str, list[int]] = {name: [] for name in bag.topics}
    headers: dict[str, list[int]] = {name: [] for name in bag.topics}
    first: dict[str, Any] = {}
    forms: dict[str, dict[str, None]] = {name: {} for name in bag.topics}  # a set that keeps the order
    for raw in tqdm(bag.raw_messages(), total=bag.count, unit="message", desc="bag_info", disable=None):
        received[raw.topic].append(raw.stamp_ns)
        if raw.type not in bag.types.fielddefs:
            continue
        # Images are not decoded: a raw one is a view of the bytes.
        message = bag.deserialize(raw)
        first.setdefault(raw.topic, message)
        if raw.type == IMAGE:
            forms[raw.topic][f"{message.width}x{message.height} {message.encoding}"] = None
        stamp = stamp_of(message)
        if stamp is not None:
            headers[raw.topic].append(stamp)
    topics = tuple(
        _topic_report(
            bag, topic, np.array(received[name]), np.array(headers[name]), first.get(name), tuple(forms[name])
        )
        for name, topic in bag.topics.items()
    )
    return BagReport(
        path=str(bag.path),
        start_s=bag.start_ns / 1e9,
        duration_s=(bag.end_ns - bag.start_ns) / 1e9,
        messages=sum(len(stamps) for stamps in received.values()),
        topics=topics,
        usability=tuple(assess_usability(bag, topics, first, headers)),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Raises InputError for what is no bag."""
    parser = argparse.ArgumentParser(
        prog="bag_info",
        description="Say what is in a rosbag2, how well it was recorded, and what this package can do with it.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bag", type=Path, metavar="BAG", help="folder of the bag, or one .mcap or .db3 file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(argv)
    with open_bag(options.bag) as bag:
        report = inspect_bag(bag)
    print(json.dumps(asdict(report), indent=2) if options.json else describe(report))
    return 0


def _topic_report(
    bag: Bag, topic: Topic, received: np.ndarray, headers: np.ndarray, first: Any | None, forms: tuple[str, ...]
) -> TopicReport:
    """Report on a topic.

    received, headers: (N,) int64 and (N,) or (0,) int64, nanoseconds in receive order.
    forms: sizes and encodings of raw images.
    """
    gaps = np.diff(received)
    widest = int(np.argmax(gaps)) if len(gaps) else None
    span = int(received[-1] - received[0]) if len(received) > 1 else 0
    delays = (received - headers) / 1e9 if len(headers) == len(received) else np.empty(0)
    content, problem = _content(topic, first)
    back = np.flatnonzero(np.diff(headers) < 0)
    return TopicReport(
        name=topic.name,
        type=topic.type,
        count=len(received),
        rate_hz=(len(received) - 1) * 1e9 / span if span else None,
        largest_gap_s=None if widest is None else float(gaps[widest]) / 1e9,
        largest_gap_at_s=None if widest is None else float(received[widest] - bag.start_ns) / 1e9,
        gaps=int(np.sum(gaps > 2 * np.median(gaps))) if len(gaps) > 1 else 0,
        out_of_order=len(back) if len(headers) else None,
        jump_s=float(headers[back[0]] - headers[back[0] + 1]) / 1e9 if len(back) else None,
        jump_at_s=float(received[back[0] + 1] - bag.start_ns) / 1e9 if len(back) else None,
        repeated=int(np.sum(np.diff(headers) == 0)) if len(headers) else None,
        unstamped=int(np.sum(headers == 0)) if len(headers) else None,
        header_delay_s=float(np.median(delays)) if len(delays) else None,
        header_delay_max_s=float(delays[np.argmax(np.abs(delays))]) if len(delays) else None,
        content=", ".join(forms) or content,
        problem=problem,
    )


def _content(topic: Topic, first: Any | None) -> tuple[str, str]:
    """Say what the first message holds, and why it cannot be used."""
    if topic.count == 0:
        return "", "no messages: check that it was published, and with a QoS that the recorder takes"
    if first is None:
        return "", "its definition is not in the bag"
    if topic.type in (IMAGE, COMPRESSED_IMAGE):
        return _image_content(topic, first)
    if topic.type == CAMERA_INFO:
        return _camera_content(first)
    if topic.type == "sensor_msgs/msg/Range" and not first.min_range <= first.range <= first.max_range:
        return f"{first.range:g} m", f"the first value is not between {first.min_range:g} and {first.max_range:g} m"
    return "", ""


def _image_content(topic: Topic, first: Any) -> tuple[str, str]:
    encoding = first.encoding if topic.type == IMAGE else f"compressed, {first.format}"
    try:
        height, width = to_rgb(first).shape[:2]
    except InputError as error:
        return encoding, str(error)
    return f"{width}x{height} {encoding}", "depth, no picture" if is_depth_topic(topic.name, first) else ""


def _camera_content(first: Any) -> tuple[str, str]:
    size = f"{first.width}x{first.height}"
    if not np.any(first.k):
        return f"{size}, not calibrated", "the camera is not calibrated (K is zero)"
    try:
        camera = Camera.from_camera_info(first)
    except InputError as error:
        return size, str(error)
    model = f"{camera.model} distortion" if np.any(camera.distortion) else "no distortion"
    return f"{size}, calibrated, focal length {camera.K[0]:.1f} px, {model}", ""


if __name__ == "__main__":
    run(main)
