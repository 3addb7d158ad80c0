"""What of a bag can be used: the one verdict that `bag_info`, the replays and the evaluations share, in words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rosbags.interfaces import Qos

from replay_ros.bags.definitions import full_type_name, is_type_name
from replay_ros.bags.storage.metadata import NAME, Metadata
from replay_ros.bags.storage.piece import Channel, Definition

ROS2_ENCODING = "cdr"
TOPIC_NAME = re.compile(r"[!-~]+")  # printable ASCII without spaces
SPAN_TOLERANCE_S = 1e-3
NO_MESSAGES = "no messages: check that it was published, and with a QoS that the recorder accepts"


@dataclass(frozen=True)
class Topic:
    """A topic of a bag.

    name: absolute, with a leading slash. type: as "sensor_msgs/msg/Image". count: of its messages. qos: as offered.
    definition: of the type, as recorded.
    """

    name: str
    type: str
    count: int
    qos: tuple[Qos, ...]
    definition: Definition = field(default=Definition(), compare=False, repr=False)


@dataclass(frozen=True)
class LeftOut:
    """A topic, or a part of it, that is not used. name, type: as recorded. count: of its messages."""

    name: str
    type: str
    count: int
    cause: str

    def __str__(self) -> str:
        return f"{self.count} messages on {self.name!r} are left out: {self.cause}"


def describe_topics(topics: Mapping[str, Topic]) -> str:
    """List topics with their types, for an error message."""
    return ", ".join(f"{topic.name} ({topic.type})" for topic in topics.values()) or "no topics"


def absolute(name: str) -> str:
    """Return a topic name with its leading slash."""
    return name if name.startswith("/") else f"/{name}"


def why_unusable(channel: Channel) -> str:
    """Return why the messages of a channel cannot be used, not even copied; empty when they can."""
    if channel.encoding != ROS2_ENCODING:
        about = f" of {channel.type}" if channel.type else ""
        return f"they are {_short(channel.encoding)} messages{about}, not ROS 2 messages (cdr)"
    if not is_type_name(full_type_name(channel.type)):
        return f"{_short(channel.type)} is not the name of a ROS 2 type"
    if not TOPIC_NAME.fullmatch(channel.topic):
        return "its name is not the name of a topic"
    return ""


def sort_channels(
    channels: Sequence[tuple[int, Channel]], metadata: Metadata | None
) -> tuple[dict[str, Topic], dict[tuple[int, int], Topic], tuple[LeftOut, ...]]:
    """Decide what of a bag can be used.

    channels: those of all files, with the number of the file. Returns the topics by name, sorted; the topic of each
    channel by number of the file and id; and what is left out.
    """
    causes = {(index, each.id): why_unusable(each) for index, each in channels}
    usable = [(index, each) for index, each in channels if not causes[index, each.id]]
    types: dict[str, str] = {}
    for _, each in sorted(usable, key=lambda item: -item[1].count):  # a topic has the type of most of its messages
        types.setdefault(absolute(each.topic), full_type_name(each.type))
    left_out = Counter[tuple[str, str, str]]()
    found: dict[str, Topic] = {}
    used: dict[tuple[int, int], str] = {}
    for index, each in channels:
        name, kind = absolute(each.topic), full_type_name(each.type)
        cause = causes[index, each.id]
        if not cause and kind != types[name]:
            cause = f"they are {kind}, and the topic is a {types[name]}"
        if cause:
            left_out[each.topic, each.type, cause] += each.count
            continue
        before = found.get(name, Topic(name, kind, 0, each.qos, each.definition))
        definition = before.definition if before.definition.text else each.definition
        found[name] = Topic(name, kind, before.count + each.count, before.qos or each.qos, definition)
        used[index, each.id] = name
    for name, (_, kind) in (metadata.topics if metadata else {}).items():  # without messages, in no file
        if is_type_name(kind) and absolute(name) not in {absolute(each) for each, *_ in left_out}:
            found.setdefault(absolute(name), Topic(absolute(name), kind, 0, ()))
    topics = {name: found[name] for name in sorted(found)}
    parts = tuple(LeftOut(name, kind, count, cause) for (name, kind, cause), count in left_out.items())
    return topics, {key: topics[name] for key, name in used.items()}, parts


def span_of(channels: Iterable[Channel]) -> tuple[int, int]:
    """Return the receive stamps of the first and the last message, nanoseconds; zeros without messages."""
    spans = [each.span_ns for each in channels if each.span_ns is not None]
    return min((first for first, _ in spans), default=0), max((last for _, last in spans), default=0)


def compare_with_metadata(
    metadata: Metadata, missing: Sequence[str], counts: Mapping[str, int], span_s: float
) -> Iterator[str]:
    """Describe where metadata.yaml and the files differ. The files are right.

    missing: names of the files that are gone. counts: messages in the other files, by topic, without what is not used.
    span_s: from the first to the last message, seconds.
    """
    found = sum(counts.values())
    if missing:
        known = [metadata.file_counts.get(name) for name in missing]
        expected = None if metadata.count is None or None in known else metadata.count - sum(filter(None, known))
    else:
        expected = metadata.count
    if expected is not None and expected != found:
        yield f"{NAME} counts {expected} messages, the files hold {found}: the files are right"
    if missing:
        return
    claimed = Counter({absolute(name): count for name, (count, _) in metadata.topics.items()})
    for name in sorted({*claimed, *counts}):
        if claimed[name] != counts.get(name, 0):
            yield f"{NAME} counts {claimed[name]} messages on {name!r}, the files hold {counts.get(name, 0)}"
    if metadata.span_s is not None and found and abs(metadata.span_s - span_s) > SPAN_TOLERANCE_S:
        yield f"{NAME} says that the bag lasts {metadata.span_s:.3f} s, its messages span {span_s:.3f} s"


def _short(text: str) -> str:
    return repr(text[:40]) if text else "unknown"
