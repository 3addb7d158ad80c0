"""Choose the image topic of a bag and its camera_info topic."""

from __future__ import annotations

from typing import Any

from perception_common.cameras.camera import Camera
from perception_common.cameras.plausibility import foreign_topic, oddities
from perception_common.errors import InputError
from replay_ros.bags.reader import Bag, RawMessage, absolute, describe_topics

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
DEPTH_ENCODINGS = ("16UC1", "32FC1")  # REP-118: millimetres and metres


def find_image_topic(bag: Bag, name: str | None = None, option: str = "--image-topic") -> str:
    """Return the image topic: the one named, or the only one in the bag that holds messages.

    A compressed topic beside its raw one and depth images beside colour images are not candidates.
    Raises InputError when there is none or several, listing them and naming the `option` that chooses, and when the one
    that is named has no messages.
    """
    if name is not None:
        topic = bag.topic(name)
        if topic.type not in (IMAGE, COMPRESSED_IMAGE):
            raise InputError(f"{topic.name} in {bag.path} is a {topic.type}, not an image; {_image_topics(bag)}")
        return bag.filled_topic(name).name
    names = _candidate_image_topics(bag)
    if not names:
        raise InputError(
            f"{bag.path} has no messages of type sensor_msgs/Image or CompressedImage; "
            f"it has {describe_topics(bag.topics)}"
        )
    if len(names) > 1:
        raise InputError(f"{bag.path} has several image topics ({', '.join(names)}); choose one with {option}")
    return names[0]


def find_camera_info_topic(
    bag: Bag, image_topic: str, name: str | None = None, option: str = "--camera-info-topic"
) -> str | None:
    """Return the camera_info topic of an image topic, or None when the bag holds no CameraInfo at all.

    This is the one named, else `camera_info` beside the image, else the only one in the bag. Raises InputError when
    several are left, naming the `option` that chooses, and when the one that is named has no messages.
    """
    if name is not None:
        topic = bag.topic(name)
        if topic.type != CAMERA_INFO:
            raise InputError(f"{topic.name} in {bag.path} is a {topic.type}, not a {CAMERA_INFO}")
        return bag.filled_topic(name).name
    names = [topic.name for topic in bag.of_type(CAMERA_INFO)]
    sibling = f"{raw_image_topic(absolute(image_topic)).rpartition('/')[0]}/camera_info"
    if sibling in names:
        return sibling
    if len(names) > 1:
        raise InputError(
            f"{bag.path} has no {sibling} but {', '.join(names)}; choose the one of {image_topic} with {option}"
        )
    return names[0] if names else None


def calibration_warnings(bag: Bag, image_topic: str, info_topic: str | None, *, is_named: bool) -> tuple[str, ...]:
    """Return what is odd about the first camera_info that is a calibration of an image topic, one sentence each.

    is_named: the user named the topic, so it may lie elsewhere than beside the image.
    """
    if info_topic is None:
        return ()
    image = bag.first_message(image_topic)
    found = () if is_named else foreign_topic(info_topic, raw_image_topic(absolute(image_topic)))
    if (raw := first_calibration(bag, info_topic)) is None:
        return found
    return (*found, *oddities(bag.deserialize(raw), "" if image is None else image.header.frame_id))


def first_calibration(bag: Bag, topic: str | None) -> RawMessage | None:
    """Return the first camera_info that is a calibration; None without one.

    A replay uses it from the first image on: it may be recorded after images, and drivers publish zeros at first.
    """
    if topic is None:
        return None
    for raw in bag.raw_messages([topic]):
        try:
            Camera.from_camera_info(bag.deserialize(raw))
        except InputError:
            continue
        return raw
    return None


def raw_image_topic(topic: str) -> str:
    """Return the raw topic of a compressed one ("/camera/image/compressed": "/camera/image"); others unchanged."""
    for suffix in ("/compressed", "/compressedDepth"):
        if topic.endswith(suffix):
            return topic.removesuffix(suffix)
    return topic


def is_depth_topic(name: str, first: Any) -> bool:
    """Tell whether an image topic holds depth; `first` is its first message."""
    return name.endswith("/compressedDepth") or getattr(first, "encoding", None) in DEPTH_ENCODINGS


def _candidate_image_topics(bag: Bag) -> list[str]:
    names = [topic.name for topic in bag.of_type(IMAGE, COMPRESSED_IMAGE)]
    names = [name for name in names if raw_image_topic(name) == name or raw_image_topic(name) not in names]
    if len(names) > 1:
        names = [name for name in names if not is_depth_topic(name, bag.first_message(name))] or names
    return names


def _image_topics(bag: Bag) -> str:
    images = bag.of_type(IMAGE, COMPRESSED_IMAGE)
    return f"images are on {', '.join(topic.name for topic in images)}" if images else "the bag has no images"
