"""Inspect a bag: what is in it, how well it was recorded, and what this package can do with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from perception_common.images.conversion import to_rgb
from replay_ros.bags.inspection.report import BagReport, TopicReport
from replay_ros.bags.inspection.usability import assess_usability
from replay_ros.bags.messages import stamp_of
from replay_ros.bags.reader import Bag, Topic
from replay_ros.bags.topic_choice import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, is_depth_topic


@dataclass(frozen=True, eq=False)
class _Scan:
    """What is kept of all messages, by topic.

    received, header_stamps: nanoseconds, in the order of receiving; no header stamps for types without a header.
    first_messages: none for a type without a definition. image_forms: sizes and encodings of raw images, in words.
    """

    received: dict[str, list[int]]
    header_stamps: dict[str, list[int]]
    first_messages: dict[str, Any]
    image_forms: dict[str, list[str]]


def inspect_bag(bag: Bag) -> BagReport:
    """Read all messages of a bag and report on it. Raises InputError where it is damaged."""
    scan = _scan(bag)
    topics = tuple(_topic_report(bag, topic, scan) for topic in bag.topics.values())
    return BagReport(
        path=str(bag.path),
        start_s=bag.start_ns / 1e9,
        duration_s=(bag.end_ns - bag.start_ns) / 1e9,
        messages=sum(len(stamps) for stamps in scan.received.values()),
        topics=topics,
        usability=assess_usability(bag, topics, scan.first_messages, scan.header_stamps),
    )


def _scan(bag: Bag) -> _Scan:
    received: dict[str, list[int]] = {name: [] for name in bag.topics}
    header_stamps: dict[str, list[int]] = {name: [] for name in bag.topics}
    first_messages: dict[str, Any] = {}
    image_forms: dict[str, list[str]] = {name: [] for name in bag.topics}
    for raw in tqdm(bag.raw_messages(), total=bag.count, unit="message", desc="bag_info", disable=None):
        received[raw.topic].append(raw.stamp_ns)
        if bag.decoding_problem(bag.topics[raw.topic]):
            continue
        message = bag.deserialize(raw)  # cheap for images: their pixels are a view of the bytes
        first_messages.setdefault(raw.topic, message)
        if raw.type == IMAGE:
            form = f"{message.width}x{message.height} {message.encoding}"
            if form not in image_forms[raw.topic]:
                image_forms[raw.topic].append(form)
        stamp_ns = stamp_of(message)
        if stamp_ns is not None:
            header_stamps[raw.topic].append(stamp_ns)
    return _Scan(received, header_stamps, first_messages, image_forms)


def _topic_report(bag: Bag, topic: Topic, scan: _Scan) -> TopicReport:
    received, headers = np.array(scan.received[topic.name]), np.array(scan.header_stamps[topic.name])
    intervals = np.diff(received)
    largest = int(np.argmax(intervals)) if len(intervals) else None
    span = int(received[-1] - received[0]) if len(received) > 1 else 0
    delays = (received - headers) / 1e9 if len(headers) == len(received) else np.empty(0)
    jumps = np.flatnonzero(np.diff(headers) < 0)
    content, problem = _content_and_problem(topic, scan.first_messages.get(topic.name))
    return TopicReport(
        name=topic.name,
        type=topic.type,
        count=len(received),
        rate_hz=(len(received) - 1) * 1e9 / span if span else None,
        largest_gap_s=None if largest is None else float(intervals[largest]) / 1e9,
        largest_gap_at_s=None if largest is None else float(received[largest] - bag.start_ns) / 1e9,
        gaps=int(np.sum(intervals > 2 * np.median(intervals))) if len(intervals) > 1 else 0,
        out_of_order=len(jumps) if len(headers) else None,
        jump_s=float(headers[jumps[0]] - headers[jumps[0] + 1]) / 1e9 if len(jumps) else None,
        jump_at_s=float(received[jumps[0] + 1] - bag.start_ns) / 1e9 if len(jumps) else None,
        repeated=int(np.sum(np.diff(headers) == 0)) if len(headers) else None,
        unstamped=int(np.sum(headers == 0)) if len(headers) else None,
        header_delay_s=float(np.median(delays)) if len(delays) else None,
        header_delay_max_s=float(delays[np.argmax(np.abs(delays))]) if len(delays) else None,
        content=", ".join(scan.image_forms[topic.name]) or content,
        problem=problem,
    )


def _content_and_problem(topic: Topic, first: Any | None) -> tuple[str, str]:
    """Return what the first message holds, and why this package cannot use the topic; both may be empty."""
    if topic.count == 0:
        return "", "no messages: check that it was published, and with a QoS that the recorder accepts"
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
    problem = "depth, not a picture" if is_depth_topic(topic.name, first) else ""
    return f"{width}x{height} {encoding}", problem


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
