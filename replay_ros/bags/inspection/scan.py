"""One pass over a bag that keeps what the report on it needs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from perception_common.images.conversion import to_rgb
from replay_ros.bags.reader import Bag, RawMessage
from replay_ros.bags.topic_choice import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, is_depth_topic

RANGE = "sensor_msgs/msg/Range"


@dataclass(eq=False)
class TopicScan:
    """What is kept of the messages of a topic.

    received_ns, header_stamps_ns: nanoseconds, in the order of receiving; no header stamps for types without a header.
    message: the first usable one, else the first that can be decoded; of images, CameraInfo and Range only. content:
    what it holds, in words. problems: why messages cannot be used, with their number. Pictures are decoded until one is
    usable. image_forms: sizes and encodings of raw images, in words. sizes: of images, (width, height); those of
    compressed ones as far as they are decoded. calibrations: the first usable CameraInfo of each size, by the
    size in it.
    """

    received_ns: list[int] = field(default_factory=list)
    header_stamps_ns: list[int] = field(default_factory=list)
    message: Any = None
    content: str = ""
    is_usable: bool = False
    problems: Counter[str] = field(default_factory=Counter)
    image_forms: list[str] = field(default_factory=list)
    sizes: set[tuple[int, int]] = field(default_factory=set)
    calibrations: dict[tuple[int, int], Any] = field(default_factory=dict)

    def look_at(self, name: str, type_name: str, message: Any) -> None:
        """Note what a message of the topic holds, or why it cannot be used."""
        if type_name == IMAGE:
            form = f"{message.width}x{message.height} {message.encoding}"
            if form not in self.image_forms:
                self.image_forms.append(form)
            self.sizes.add((message.width, message.height))
        if type_name in (IMAGE, COMPRESSED_IMAGE) and self.is_usable:
            return  # decoding all pictures would take minutes
        content, problem = _content_and_problem(name, type_name, message)
        if problem:
            self.problems[problem] += 1
        if self.message is None or (not problem and not self.is_usable):
            self.message, self.content = message, content
        self.is_usable |= not problem
        if type_name == CAMERA_INFO and not problem:
            self.calibrations.setdefault((message.width, message.height), message)
        if type_name == COMPRESSED_IMAGE and not problem:
            self.sizes.add(to_rgb(message).shape[1::-1])


def scan_bag(bag: Bag) -> dict[str, TopicScan]:
    """Read all messages; returns what is kept, by topic."""
    scans = {name: TopicScan() for name in bag.topics}
    for raw in tqdm(bag.raw_messages(), total=bag.count, unit="message", desc="bag_info", disable=None):
        scan = scans[raw.topic]
        scan.received_ns.append(raw.stamp_ns)
        stamp_ns = bag.header_stamp(raw)
        if stamp_ns is not None:
            scan.header_stamps_ns.append(stamp_ns)
        if raw.type in (IMAGE, COMPRESSED_IMAGE, CAMERA_INFO, RANGE):
            _decode(bag, raw, scan)
    return scans


def _decode(bag: Bag, raw: RawMessage, scan: TopicScan) -> None:
    try:
        message = bag.deserialize(raw)  # cheap for images: their pixels are a view of the bytes
    except InputError as error:
        scan.problems[f"not a {raw.type} ({error.__cause__})"] += 1
    else:
        scan.look_at(raw.topic, raw.type, message)


def _content_and_problem(name: str, type_name: str, message: Any) -> tuple[str, str]:
    """Return what a message holds, and why this package cannot use it; both may be empty."""
    if type_name in (IMAGE, COMPRESSED_IMAGE):
        return _image_content(name, type_name, message)
    if type_name == CAMERA_INFO:
        return _camera_content(message)
    if not message.min_range <= message.range <= message.max_range:
        return f"{message.range:g} m", f"the value is not between {message.min_range:g} and {message.max_range:g} m"
    return "", ""


def _image_content(name: str, type_name: str, message: Any) -> tuple[str, str]:
    encoding = message.encoding if type_name == IMAGE else f"compressed, {message.format}"
    if is_depth_topic(name, message):
        return encoding, "depth, not a picture"
    try:
        height, width = to_rgb(message).shape[:2]
    except InputError as error:
        return encoding, str(error)
    return f"{width}x{height} {encoding}", ""


def _camera_content(message: Any) -> tuple[str, str]:
    size = f"{message.width}x{message.height}"
    if not np.any(message.k):
        return f"{size}, not calibrated", "the camera is not calibrated (K is zero)"
    try:
        camera = Camera.from_camera_info(message)
    except InputError as error:
        return size, str(error)
    model = f"{camera.model} distortion" if np.any(camera.distortion) else "no distortion"
    return f"{size}, calibrated, focal length {camera.K[0]:.1f} px, {model}", ""
