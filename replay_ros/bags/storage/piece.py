"""One storage file of a bag: what every format offers to the reader of bags."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from rosbags.interfaces import Qos
from rosbags.rosbag2.metadata import parse_qos

MAX_BLOCK_BYTES = 512 * 2**20  # of a chunk or a message in memory; an image of 100 megapixels at 32 bits has 400 MiB
MAX_STAMP_NS = 2**63 - 1  # stamps are int64 in rosbag2 and in numpy
MAX_QOS_CHARACTERS = 100_000  # of the YAML text of all profiles of a topic; one profile has about 400


class DamagedError(Exception):
    """A part of a file that cannot be read; the text says why, without the name of the file."""


@dataclass(frozen=True)
class Definition:
    """The definition of a message type as recorded. format: "ros2msg", "ros2idl" or another; text: may be empty."""

    format: str = ""
    text: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Channel:
    """What one publisher sent on a topic.

    encoding: of the messages, "cdr" for ROS 2. count: of its messages. span_ns: receive stamps of the first and the
    last one, nanoseconds; None without messages.
    """

    id: int
    topic: str
    type: str
    encoding: str
    definition: Definition
    qos: tuple[Qos, ...]
    count: int
    span_ns: tuple[int, int] | None = None


@dataclass(frozen=True)
class StoredMessage:
    """A message as it is stored. stamp_ns: when it was received, nanoseconds, 0 to MAX_STAMP_NS."""

    stamp_ns: int
    channel: int
    data: bytes


class Piece(Protocol):
    """An open storage file. losses: what could not be read, in words; reading may add some."""

    losses: list[str]

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels with their counts."""
        ...

    def messages(self, channels: Collection[int]) -> Iterator[StoredMessage]:
        """Iterate over the messages of these channels, in the order of their receive stamps. Raises nothing."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def read_qos(profiles: Any) -> tuple[Qos, ...]:
    """Parse the QoS profiles of a topic, YAML text or a list; none where they cannot be read."""
    if isinstance(profiles, str) and len(profiles) > MAX_QOS_CHARACTERS:
        return ()
    try:
        return tuple(parse_qos(profiles))
    except Exception:  # the text comes from the file, and the parser raises anything
        return ()
