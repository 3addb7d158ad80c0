"""Reads the messages of an output bag that the report needs, without the pictures."""

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
TRUTH = "ground_truth"  # part of the name of topics that hold ground truth, as `flight` writes them

WARN = 1  # level of DiagnosticStatus


@dataclass(frozen=True)
class NodeState:
    """Diagnostics of a node. values: the last ones. problems: level and message of each status worse than OK."""

    values: Mapping[str, str]
    problems: tuple[tuple[int, str], ...]


@dataclass(frozen=True, eq=False)
class RecordedReplay:
    """The messages of the output bag of a replay.

    stamps_ns: of the images, in the order of the bag. size: (width, height). detections, true_detections, statuses: by
    image stamp, nanoseconds; None when the bag has no such topic. keyframes: stamp by id. poses: RelativePose messages
    by (older id, newer id). truth: ground-truth poses of the camera. nodes: by node name. topics: (name, type, message
    count).
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
    topics: tuple[tuple[str, str, int], ...]

    @property
    def frame_of(self) -> dict[int, int]:
        """Frame index by image stamp."""
        return {stamp: index for index, stamp in enumerate(self.stamps_ns)}


def read_recording(bag: Bag, image_topic: str | None = None, truth: str | None = None) -> RecordedReplay:
    """Read a bag. truth: topic or TUM file of the camera poses; None: the ground-truth topic of the bag, if any.

    Raises InputError for a bag without images and for topics that it does not have.
    """
    image_topic = find_image_topic(bag, image_topic)
    stamps, size = _read_image_stamps(bag, image_topic)
    return RecordedReplay(
        image_topic=image_topic,
        stamps_ns=stamps,
        size=size,
        detections=_by_stamp(bag, _result_topics(bag, DETECTIONS)),
        true_detections=_by_stamp(bag, [topic.name for topic in bag.of_type(DETECTIONS) if TRUTH in topic.name]),
        statuses=_by_stamp(bag, _result_topics(bag, STATUS)),
        keyframes={each.id: stamp_ns(each.header) for each in _messages(bag, _result_topics(bag, KEYFRAME))},
        correspondences=tuple(_messages(bag, _result_topics(bag, CORRESPONDENCES))),
        poses={(each.older_id, each.newer_id): each for each in _messages(bag, _camera_pose_topic(bag))},
        truth=_read_true_motion(bag, truth),
        nodes=_read_nodes(bag),
        topics=tuple((topic.name, topic.type, topic.count) for topic in bag.topics.values()),
    )


def _read_image_stamps(bag: Bag, topic: str) -> tuple[tuple[int, ...], tuple[int, int]]:
    stamps: list[int] = []
    size = (0, 0)
    for message in _messages(bag, [topic]):
        if not stamps:
            size = _image_size(message)
        stamps.append(stamp_ns(message.header))
    return tuple(dict.fromkeys(stamps)), size


def _image_size(message: Any) -> tuple[int, int]:
    if is_compressed(message):
        height, width = to_rgb(message).shape[:2]
        return width, height
    return int(message.width), int(message.height)


def _result_topics(bag: Bag, message_type: str) -> list[str]:
    """Return the topics of a type that do not hold ground truth."""
    return [topic.name for topic in bag.of_type(message_type) if TRUTH not in topic.name]


def _camera_pose_topic(bag: Bag) -> list[str]:
    """Return the topic of the camera's relative poses, as a list of at most one; skip those of the base frame."""
    return [name for name in _result_topics(bag, RELATIVE_POSE) if not name.endswith("_base")][:1]


def _messages(bag: Bag, topics: list[str]) -> Iterator[Any]:
    return (item.message for item in bag.messages(topics))


def _by_stamp(bag: Bag, topics: list[str]) -> dict[int, Any] | None:
    if not topics:
        return None
    return {stamp_ns(message.header): message for message in _messages(bag, topics[:1])}


def _read_true_motion(bag: Bag, source: str | None) -> TrueMotion | None:
    source = source or find_truth_topic(bag)
    return None if source is None else read_truth(source, bag)


def _read_nodes(bag: Bag) -> dict[str, NodeState]:
    values: dict[str, dict[str, str]] = {}
    problems: dict[str, dict[tuple[int, str], None]] = {}
    for message in _messages(bag, _result_topics(bag, DIAGNOSTICS)):
        for status in message.status:
            values[status.name] = {each.key: each.value for each in status.values}
            level = status.level if isinstance(status.level, int) else int.from_bytes(status.level, "little")
            unique = problems.setdefault(status.name, {})
            if level >= WARN:
                unique[level, status.message] = None
    return {name: NodeState(values[name], tuple(problems[name])) for name in sorted(values)}
