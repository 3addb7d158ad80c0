"""Reads the messages of an output bag that the report needs, without the pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from perception_common.errors import InputError
from perception_common.images.conversion import is_compressed, to_rgb
from perception_common.stamps import stamp_ns
from replay_ros.bags.reader import Bag
from replay_ros.bags.topic_choice import find_image_topic
from replay_ros.evaluation.motion.truth import TrueMotion, find_truth_topic, read_truth
from replay_ros.result.assignment import Moment, assign_to_images

DETECTIONS = "yolc_ros/msg/DetectionArray"
TRACKS = "yolc_ros/msg/TrackArray"
MARKER = "visualization_msgs/msg/ImageMarker"
GROUND_OBJECTS = "yolc_ros/msg/GroundObjectArray"
STATUS = "yolc_ros/msg/MatchingStatus"
KEYFRAME = "yolc_ros/msg/Keyframe"
CORRESPONDENCES = "yolc_ros/msg/Correspondences"
RELATIVE_POSE = "yolc_ros/msg/RelativePose"
DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"
TRUTH = "ground_truth"  # part of the name of topics that hold ground truth, as `flight` writes them

Size = tuple[int, int]  # width, height; pixels
WARN = 1  # level of DiagnosticStatus


@dataclass(frozen=True)
class NodeState:
    """Diagnostics of a node. values: the last ones. problems: level and message of each status worse than OK."""

    values: Mapping[str, str]
    problems: tuple[tuple[int, str], ...]


@dataclass(frozen=True, eq=False)
class RecordedReplay:
    """The messages of the output bag of a replay. Images are named by their position in it, from 0.

    stamps_ns: of the images. sizes: (width, height) of each, as far as they are known. detections,
    true_detections, tracks, true_tracks, markers, statuses: by position; None when the bag has no such topic. objects,
    true_objects: on the ground, the same. keyframes: position by id. poses: RelativePose messages by (older id, newer
    id). truth: ground-truth poses of the camera. nodes: by node name. topics: (name, type, message count). unassigned:
    messages of the others whose image is not known: images share its stamp.
    """

    image_topic: str
    stamps_ns: tuple[int, ...]
    sizes: tuple[Size, ...]
    detections: Mapping[int, Any] | None
    true_detections: Mapping[int, Any] | None
    tracks: Mapping[int, Any] | None
    true_tracks: Mapping[int, Any] | None
    markers: Mapping[int, Any] | None
    statuses: Mapping[int, Any] | None
    keyframes: Mapping[int, int]
    correspondences: tuple[Any, ...]
    poses: Mapping[tuple[int, int], Any]
    truth: TrueMotion | None
    nodes: Mapping[str, NodeState]
    topics: tuple[tuple[str, str, int], ...]
    unassigned: int = 0
    objects: Mapping[int, Any] | None = None
    true_objects: Mapping[int, Any] | None = None

    @property
    def size(self) -> Size:
        """The size of most images, (width, height)."""
        return Counter(self.sizes).most_common(1)[0][0] if self.sizes else (0, 0)

    @property
    def position_of_stamp(self) -> dict[int, int]:
        """Position by stamp, of the images that share theirs with no other one."""
        counts = Counter(self.stamps_ns)
        return {stamp: position for position, stamp in enumerate(self.stamps_ns) if counts[stamp] == 1}


def read_recording(bag: Bag, image_topic: str | None = None, truth: str | None = None) -> RecordedReplay:
    """Read a bag. truth: topic or TUM file of the camera poses; None: the ground-truth topic of the bag, if any.

    Raises InputError for a bag without images and for topics that it does not have.
    """
    image_topic = find_image_topic(bag, image_topic)
    moments, sizes = _read_images(bag, image_topic)
    detections, lost_detections = _by_position(bag, _result_topics(bag, DETECTIONS), moments)
    true_detections, lost_truths = _by_position(bag, _truth_topics(bag, DETECTIONS), moments)
    tracks, lost_tracks = _by_position(bag, _result_topics(bag, TRACKS), moments)
    true_tracks, lost_true_tracks = _by_position(bag, _truth_topics(bag, TRACKS), moments)
    objects, lost_objects = _by_position(bag, _result_topics(bag, GROUND_OBJECTS), moments)
    true_objects, _ = _by_position(bag, _truth_topics(bag, GROUND_OBJECTS), moments)
    statuses, lost_statuses = _by_position(bag, _result_topics(bag, STATUS), moments)
    keyframes, lost_keyframes = _by_position(bag, _result_topics(bag, KEYFRAME), moments)
    return RecordedReplay(
        image_topic=image_topic,
        stamps_ns=tuple(moment.stamp_ns or 0 for moment in moments),
        sizes=_complete_sizes(sizes, detections or {}, keyframes or {}),
        detections=detections,
        true_detections=true_detections,
        tracks=tracks,
        true_tracks=true_tracks,
        markers=_by_position(bag, _result_topics(bag, MARKER), moments)[0],
        statuses=statuses,
        keyframes={message.id: position for position, message in (keyframes or {}).items()},
        correspondences=tuple(_messages(bag, _result_topics(bag, CORRESPONDENCES))),
        poses={(each.older_id, each.newer_id): each for each in _messages(bag, _camera_pose_topic(bag))},
        truth=_read_true_motion(bag, truth),
        nodes=_read_nodes(bag),
        topics=tuple((topic.name, topic.type, topic.count) for topic in bag.topics.values()),
        unassigned=sum(
            (lost_detections, lost_truths, lost_tracks, lost_true_tracks, lost_objects, lost_statuses, lost_keyframes)
        ),
        objects=objects,
        true_objects=true_objects,
    )


def _read_images(bag: Bag, topic: str) -> tuple[list[Moment], list[Size]]:
    """Return the times and the size of each image; (0, 0) where it is not known without decoding.

    Of compressed images only the first one that can be decoded is.
    """
    moments: list[Moment] = []
    sizes: list[Size] = []
    is_known = False
    for raw in bag.raw_messages([topic]):
        try:
            message = bag.deserialize(raw)
        except InputError:
            moments.append(Moment(None, raw.stamp_ns))
            sizes.append((0, 0))
            continue
        moments.append(Moment(stamp_ns(message.header), raw.stamp_ns))
        sizes.append((0, 0) if is_known and is_compressed(message) else _image_size(message))
        is_known = is_known or sizes[-1] != (0, 0)
    return moments, sizes


def _image_size(message: Any) -> Size:
    if not is_compressed(message):
        return int(message.width), int(message.height)
    try:
        height, width = to_rgb(message).shape[:2]
    except InputError:
        return 0, 0
    return width, height


def _complete_sizes(sizes: list[Size], detections: Mapping[int, Any], keyframes: Mapping[int, Any]) -> tuple[Size, ...]:
    """Return the size of each image: its own, that of its answers, else that of the first image."""
    known = {position: (int(each.width), int(each.height)) for position, each in keyframes.items()}
    known |= {position: (int(each.image_width), int(each.image_height)) for position, each in detections.items()}
    first = next((size for size in sizes if size != (0, 0)), (0, 0))
    return tuple(size if size != (0, 0) else known.get(position, first) for position, size in enumerate(sizes))


def _result_topics(bag: Bag, message_type: str) -> list[str]:
    """Return the topics of a type that do not hold ground truth."""
    return [topic.name for topic in bag.of_type(message_type) if TRUTH not in topic.name]


def _truth_topics(bag: Bag, message_type: str) -> list[str]:
    """Return the topics of a type that hold ground truth."""
    return [topic.name for topic in bag.of_type(message_type) if TRUTH in topic.name]


def _camera_pose_topic(bag: Bag) -> list[str]:
    """Return the topic of the camera's relative poses, as a list of at most one; skip those of the base frame."""
    return [name for name in _result_topics(bag, RELATIVE_POSE) if not name.endswith("_base")][:1]


def _messages(bag: Bag, topics: list[str]) -> Iterator[Any]:
    return (item.message for item in bag.messages(topics))


def _by_position(bag: Bag, topics: list[str], images: list[Moment]) -> tuple[dict[int, Any] | None, int]:
    """Return the messages of a topic by the position of their image, and how many belong to no single image.

    Messages of images that are not in the bag are left out, and not counted.
    """
    if not topics:
        return None, 0
    items = list(bag.messages(topics[:1]))
    moments = [Moment(stamp_ns(item.message.header), item.stamp_ns) for item in items]
    positions = assign_to_images(images, moments)
    stamps = {image.stamp_ns for image in images}
    lost = sum(
        position is None and moment.stamp_ns in stamps for position, moment in zip(positions, moments, strict=True)
    )
    found = {position: item.message for position, item in zip(positions, items, strict=True) if position is not None}
    return found, lost


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
