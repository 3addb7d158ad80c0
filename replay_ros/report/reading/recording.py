"""Reads from an answers bag what a report is made of, without the pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from perception_common.images.conversion import is_compressed, to_rgb
from perception_common.stamps import stamp_ns
from replay_ros.bags.reader import Bag
from replay_ros.bags.topic_choice import find_image_topic
from replay_ros.evaluation.motion.truth import TrueMotion, find_truth_topic, read_truth

DETECTIONS = "yolc_ros/msg/DetectionArray"
STATUS = "yolc_ros/msg/MatchingStatus"
KEYFRAME = "yolc_ros/msg/Keyframe"
CORRESPONDENCES = "yolc_ros/msg/Correspondences"
RELATIVE_POSE = "yolc_ros/msg/RelativePose"
DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"
TRUTH = "ground_truth"  # in the name of a topic: what is true, not what a node answered

WARN = 1  # DiagnosticStatus


@dataclass(frozen=True)
class NodeState:
    """What a node said of itself in /diagnostics. values: the last. complaints: what was not OK, once each."""

    values: Mapping[str, str]
    complaints: tuple[tuple[int, str], ...]  # level, text


@dataclass(frozen=True, eq=False)
class RecordedReplay:
    """The messages of an answers bag. Detections and statuses are by the stamp of their image, nanoseconds.

    stamps_ns: of the images, in the order of the bag. size: width and height. detections, statuses: None when the bag
    holds no such topic. keyframes: stamp by id. poses: RelativePose by the ids of the older and the newer
    keyframe. truth: poses of the camera.
    """

    image_topic: str
    stamps_ns: tuple[int, ...]
    size: tuple[int, int]
    detections: Mapping[int, Any] | None
    true_detections: Mapping[int, Any] | None
    statuses: Mapping[int, Any] | None
    keyframes: Mapping[int, int]
    correspondences: tuple[Any, ...]
    poses: Mapping[tuple[int, int], Any]
    truth: TrueMotion | None
    nodes: Mapping[str, NodeState]
    topics: tuple[tuple[str, str, int], ...]  # name, type, messages


def read_recording(bag: Bag, image_topic: str | None = None, truth: str | None = None) -> RecordedReplay:
    """Read a bag. truth: topic or TUM file of the camera's poses; None: the topic named so, if there is one.

    Raises InputError where the bag holds no images, or nothing of a name that was asked for.
    """
    image_topic = find_image_topic(bag, image_topic)
    stamps, size = _images(bag, image_topic)
    answers, labels = _topics(bag, DETECTIONS)
    return RecordedReplay(
        image_topic=image_topic,
        stamps_ns=stamps,
        size=size,
        detections=_by_stamp(bag, answers),
        true_detections=_by_stamp(bag, labels),
        statuses=_by_stamp(bag, _topics(bag, STATUS)[0]),
        keyframes={each.id: stamp_ns(each.header) for each in _messages(bag, _topics(bag, KEYFRAME)[0])},
        correspondences=tuple(_messages(bag, _topics(bag, CORRESPONDENCES)[0])),
        poses={(each.older_id, each.newer_id): each for each in _messages(bag, _of_cameras(bag))},
        truth=_truth(bag, truth),
        nodes=_nodes(bag),
        topics=tuple((topic.name, topic.type, topic.count) for topic in bag.topics.values()),
    )


def _images(bag: Bag, topic: str) -> tuple[tuple[int, ...], tuple[int, int]]:
    stamps: list[int] = []
    size = (0, 0)
    for message in _messages(bag, [topic]):
        if not stamps:
            size = _size(message)
        stamps.append(stamp_ns(message.header))
    return tuple(dict.fromkeys(stamps)), size


def _size(message: Any) -> tuple[int, int]:
    if is_compressed(message):
        height, width = to_rgb(message).shape[:2]
        return width, height
    return int(message.width), int(message.height)


def _topics(bag: Bag, *types: str) -> tuple[list[str], list[str]]:
    """Return the topics of these types: answers, truth."""
    names = [topic.name for topic in bag.of_type(*types)]
    return [name for name in names if TRUTH not in name], [name for name in names if TRUTH in name]


def _of_cameras(bag: Bag) -> list[str]:
    """Return the topic of the relative poses of the camera; those of the vehicle lie beside it."""
    return [name for name in _topics(bag, RELATIVE_POSE)[0] if not name.endswith("_base")][:1]


def _messages(bag: Bag, topics: list[str]) -> Iterator[Any]:
    return (item.message for item in bag.messages(topics))


def _by_stamp(bag: Bag, topics: list[str]) -> dict[int, Any] | None:
    if not topics:
        return None
    return {stamp_ns(message.header): message for message in _messages(bag, topics[:1])}


def _truth(bag: Bag, source: str | None) -> TrueMotion | None:
    source = source or find_truth_topic(bag)
    return None if source is None else read_truth(source, bag)


def _nodes(bag: Bag) -> dict[str, NodeState]:
    values: dict[str, dict[str, str]] = {}
    complaints: dict[str, dict[tuple[int, str], None]] = {}
    for message in _messages(bag, _topics(bag, DIAGNOSTICS)[0]):
        for status in message.status:
            values[status.name] = {each.key: each.value for each in status.values}
            level = status.level if isinstance(status.level, int) else int.from_bytes(status.level, "little")
            said = complaints.setdefault(status.name, {})
            if level >= WARN:
                said[level, status.message] = None
    return {name: NodeState(values[name], tuple(complaints[name])) for name in sorted(values)}
