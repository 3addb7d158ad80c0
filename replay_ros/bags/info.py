"""The command `bag_info`: what is in a bag, how well it was recorded, and what this package can do with it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from perception_common.camera import Camera
from perception_common.cli import run
from perception_common.errors import InputError
from perception_common.image import to_rgb
from replay_ros.bags.messages import stamp_of
from replay_ros.bags.reader import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    IMAGE,
    Bag,
    Topic,
    find_camera_info_topic,
    is_depth_topic,
    open_bag,
)

SCALE_TYPES = (
    "sensor_msgs/msg/Range",
    "std_msgs/msg/Float64",
    "sensor_msgs/msg/NavSatFix",
    "nav_msgs/msg/Odometry",
)
TRUTH_TYPES = ("geometry_msgs/msg/PoseStamped", "geometry_msgs/msg/TransformStamped", "nav_msgs/msg/Odometry")
DETECTION_TYPES = ("yolc_ros/msg/DetectionArray", "vision_msgs/msg/Detection2DArray")

EXAMPLE = """\
example:
  bag_info flight_bag
  bag_info flight_bag --json > flight_bag.json
"""


@dataclass(frozen=True)
class TopicReport:
    """One topic of a bag. Times are by receive stamp, in seconds, unless they say header; None where there is none.

    rate_hz: messages less one, over the time between first and last. largest_gap_s begins largest_gap_at_s after the
    start of the bag. out_of_order: headers whose stamp is before that of the message received before it.
    header_delay_s: receive stamp less header stamp, median; header_delay_max_s: the one furthest from zero.
    content: in words: sizes and encodings of raw images; of the first message, size of compressed ones, calibration.
    problem: why this package cannot use the topic, empty when it can or has no use for it.
    """

    name: str
    type: str
    count: int
    rate_hz: float | None
    largest_gap_s: float | None
    largest_gap_at_s: float | None
    out_of_order: int | None
    header_delay_s: float | None
    header_delay_max_s: float | None
    content: str
    problem: str


@dataclass(frozen=True)
class Usability:
    """What this package could do with the bag. topics: those that it would take. reason: why not, when not usable."""

    purpose: str
    usable: bool
    topics: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class BagReport:
    """What is in a bag. start_s: receive stamp of the first message, seconds since the epoch."""

    path: str
    start_s: float
    duration_s: float
    messages: int
    topics: tuple[TopicReport, ...]
    usability: tuple[Usability, ...]


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
        usability=tuple(_usability(bag, topics, first)),
    )


def describe(report: BagReport) -> str:
    """Lay a report out as text for a terminal."""
    lines = [
        f"{report.path}: {report.messages} messages on {len(report.topics)} topics in {report.duration_s:.3f} s, "
        f"from {report.start_s:.3f} s",
        "",
    ]
    for topic in report.topics:
        lines.append(f"{topic.name}  {topic.type}")
        lines += [f"    {fact}" for fact in _facts(topic)]
    lines.append("")
    for each in report.usability:
        mark, detail = ("yes", ", ".join(each.topics)) if each.usable else ("no ", each.reason)
        lines.append(f"{mark} {each.purpose}: {detail}")
    return "\n".join(lines)


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
    return TopicReport(
        name=topic.name,
        type=topic.type,
        count=len(received),
        rate_hz=(len(received) - 1) * 1e9 / span if span else None,
        largest_gap_s=None if widest is None else float(gaps[widest]) / 1e9,
        largest_gap_at_s=None if widest is None else float(received[widest] - bag.start_ns) / 1e9,
        out_of_order=int(np.sum(np.diff(headers) < 0)) if len(headers) else None,
        header_delay_s=float(np.median(delays)) if len(delays) else None,
        header_delay_max_s=float(delays[np.argmax(np.abs(delays))]) if len(delays) else None,
        content=", ".join(forms) or content,
        problem=problem,
    )


def _content(topic: Topic, first: Any | None) -> tuple[str, str]:
    """Say what the first message holds, and why it cannot be used."""
    if topic.count == 0:
        return "", "no messages"
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


def _usability(bag: Bag, topics: tuple[TopicReport, ...], first: dict[str, Any]) -> Iterator[Usability]:
    """Tell for each use of a bag whether it is possible."""
    by_name = {topic.name: topic for topic in topics}
    pictures = [topic for topic in topics if topic.type in (IMAGE, COMPRESSED_IMAGE) and topic.count]
    usable = tuple(topic.name for topic in pictures if not topic.problem)
    reasons = "; ".join(f"{topic.name}: {topic.problem}" for topic in pictures if topic.problem)
    yield Usability("detection and matching", bool(usable), usable, "" if usable else reasons or "no image topic")
    yield _pose_usability(bag, by_name, usable, first)
    for purpose, types in (
        ("metric scale (altitude, position or odometry)", SCALE_TYPES),
        ("ground truth of the motion", TRUTH_TYPES),
        ("ground truth or earlier results of detection", DETECTION_TYPES),
    ):
        found = tuple(topic.name for topic in topics if topic.type in types and topic.count and not topic.problem)
        wanted = " or ".join(name.replace("/msg/", "/") for name in types)
        yield Usability(purpose, bool(found), found, "" if found else f"no messages of {wanted}")


def _pose_usability(
    bag: Bag, by_name: dict[str, TopicReport], images: tuple[str, ...], first: dict[str, Any]
) -> Usability:
    purpose = "relative poses"
    cameras: list[str] = []
    reasons: list[str] = []
    for image in images:
        try:
            name = find_camera_info_topic(bag, image)
        except InputError as error:
            reasons.append(str(error))
            continue
        if name is None:
            reasons.append("no messages of sensor_msgs/CameraInfo")
        elif by_name[name].problem:
            reasons.append(f"{name}: {by_name[name].problem}")
        elif Camera.from_camera_info(first[name]).matches_size(*reversed(to_rgb(first[image]).shape[:2])):
            cameras.append(name)
        else:
            reasons.append(f"{name} is for another size than the images on {image}")
    reason = "; ".join(dict.fromkeys(reasons)) or "no usable image topic"
    return Usability(purpose, bool(cameras), tuple(dict.fromkeys(cameras)), "" if cameras else reason)


def _facts(topic: TopicReport) -> Iterator[str]:
    if topic.content:
        yield topic.content
    timing = [f"{topic.count} messages"]
    if topic.rate_hz is not None:
        timing.append(f"{topic.rate_hz:.2f} Hz")
    if topic.largest_gap_s is not None:
        timing.append(f"largest gap {topic.largest_gap_s:.3f} s at {topic.largest_gap_at_s:.3f} s")
    yield ", ".join(timing)
    if topic.header_delay_s is not None and topic.header_delay_max_s is not None:
        worst = topic.header_delay_max_s * 1e3
        delay = (
            f"received {topic.header_delay_s * 1e3:.1f} ms after the header's stamp (median; extreme {worst:.1f} ms)"
        )
        yield delay if abs(worst) >= 0.1 else "received at the header's stamp"
    if topic.out_of_order:
        yield f"{topic.out_of_order} headers have a stamp before that of the message received earlier"
    if topic.problem:
        yield f"not usable: {topic.problem}"


if __name__ == "__main__":
    run(main)
