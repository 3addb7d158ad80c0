"""What of a bag can be used: the one verdict that `bag_info`, the replays and the evaluations share, in words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from replay_ros.bags.definitions import full_type_name, is_type_name
from replay_ros.bags.storage.metadata import NAME, Metadata
from replay_ros.bags.storage.piece import Channel

ROS2_ENCODING = "cdr"
TOPIC_NAME = re.compile(r"[!-~]+")  # printable ASCII without spaces
SPAN_TOLERANCE_S = 1e-3
NO_MESSAGES = "no messages: check that it was published, and with a QoS that the recorder accepts"


@dataclass(frozen=True)
class LeftOut:
    """A topic, or a part of it, that is not used. name, type: as recorded. count: of its messages."""

    name: str
    type: str
    count: int
    cause: str

    def __str__(self) -> str:
        return f"{self.count} messages on {self.name!r} are left out: {self.cause}"


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
