"""Read rosbag2 recordings (mcap or sqlite3, whole or split, compressed or not) without ROS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.interfaces import ConnectionExtRosbag2, Qos
from rosbags.typesys.store import Typestore

from perception_common.errors import InputError
from replay_ros.bags.messages import load_types
from replay_ros.bags.storage_files import recovery_advice, storage_paths


@dataclass(frozen=True)
class Topic:
    """A topic of a bag.

    name: absolute, with a leading slash. type: as "sensor_msgs/msg/Image". count: of its messages. qos: as offered.
    """

    name: str
    type: str
    count: int
    qos: tuple[Qos, ...]


@dataclass(frozen=True)
class BagMessage:
    """A decoded message. stamp_ns: when it was received, nanoseconds; not the stamp of its header."""

    topic: str
    type: str
    stamp_ns: int
    message: Any


@dataclass(frozen=True)
class RawMessage:
    """A serialised message. data: CDR. stamp_ns: when it was received, nanoseconds; not the stamp of its header."""

    topic: str
    type: str
    stamp_ns: int
    data: bytes


class Bag:
    """An open bag, as `open_bag` yields it. topics: by absolute name, in the order of the names."""

    def __init__(self, path: Path, reader: AnyReader) -> None:
        self.path = path
        self.topics: Mapping[str, Topic] = _topics(reader)
        self._reader = reader

    @property
    def types(self) -> Typestore:
        """The message types, from the definitions in the bag; those of Jazzy and our own where it has none."""
        return self._reader.typestore

    @property
    def count(self) -> int:
        """Number of messages."""
        return sum(topic.count for topic in self.topics.values())

    @property
    def start_ns(self) -> int:
        """When the first message was received, nanoseconds."""
        return self._reader.start_time

    @property
    def end_ns(self) -> int:
        """When the last message was received, nanoseconds."""
        return self._reader.end_time - 1

    def topic(self, name: str) -> Topic:
        """Return the topic of that name, with or without the leading slash. Raises InputError when there is none."""
        topic = self.topics.get(absolute(name))
        if topic is None:
            raise InputError(f"{self.path} has no topic {name}; it has {describe_topics(self.topics)}")
        return topic

    def of_type(self, *types: str) -> list[Topic]:
        """Return the topics of these types that hold messages, sorted by name."""
        return [topic for topic in self.topics.values() if topic.type in types and topic.count > 0]

    def raw_messages(self, topics: Iterable[str] | None = None) -> Iterator[RawMessage]:
        """Iterate over messages as bytes in the order of their receive stamps; None: all topics.

        Raises InputError for a topic that is missing, and where the bag is damaged.
        """
        names = None if topics is None else {self.topic(name).name for name in topics}
        if names is not None and not names:  # `rosbags` reads an empty list of connections as all of them
            return
        chosen = [
            connection
            for connection in self._reader.connections
            if names is None or absolute(connection.topic) in names
        ]
        source = self._reader.messages(chosen)
        count = 0
        while True:
            try:
                connection, stamp_ns, data = next(source)
            except StopIteration:
                return
            except Exception as error:  # the parsers of damaged files raise anything
                raise InputError(
                    f"{self.path} is damaged after {count} messages ({error}); {recovery_advice(self.path)}"
                ) from error
            count += 1
            yield RawMessage(absolute(connection.topic), connection.msgtype, stamp_ns, data)

    def messages(self, topics: Iterable[str] | None = None) -> Iterator[BagMessage]:
        """Iterate over messages in the order of their receive stamps; None: all topics.

        Raises InputError for a topic that is missing or of an unknown type, and where the bag is damaged.
        """
        for raw in self.raw_messages(topics):
            yield BagMessage(raw.topic, raw.type, raw.stamp_ns, self.deserialize(raw))

    def deserialize(self, raw: RawMessage) -> Any:
        """Decode a message. Raises InputError when its type is unknown or its bytes do not fit the type."""
        if raw.type not in self.types.fielddefs:
            raise InputError(
                f"{self.path} has no definition of {raw.type} (topic {raw.topic}); record it with ROS 2 Iron or later"
            )
        try:
            return self._reader.deserialize(raw.data, raw.type)
        except Exception as error:  # AnyReaderError, or what numpy and struct raise for too few bytes
            raise InputError(
                f"{self.path}: a message on {raw.topic} at {raw.stamp_ns / 1e9:.6f} s is not a {raw.type} ({error}); "
                f"{recovery_advice(self.path)}"
            ) from error

    def first_message(self, topic: str) -> Any | None:
        """Return the first message of a topic, or None when it holds none."""
        return next((item.message for item in self.messages([topic])), None)


@contextmanager
def open_bag(path: Path | str) -> Iterator[Bag]:
    """Open a bag: its folder, or one .mcap or .db3 file.

    A folder without metadata.yaml (the recorder was killed) is read from the storage files in it.
    Raises InputError, with advice, for a path that is missing, not a bag, damaged or empty.
    """
    path = Path(path)
    paths = storage_paths(path)
    try:
        reader = AnyReader(paths, default_typestore=load_types())
        reader.open()
    except Exception as error:  # AnyReaderError, and anything that the parsers raise for damaged files
        raise InputError(f"{path} cannot be read as a bag ({_one_line(error)}); {recovery_advice(path)}") from error
    try:
        bag = Bag(path, reader)
        if bag.count == 0:
            raise InputError(f"{path} holds no messages; record it again and check that the topics are published")
        yield bag
    finally:
        reader.close()


def absolute(name: str) -> str:
    """Return a topic name with its leading slash."""
    return name if name.startswith("/") else f"/{name}"


def describe_topics(topics: Mapping[str, Topic]) -> str:
    """List topics with their types, for an error message."""
    return ", ".join(f"{topic.name} ({topic.type})" for topic in topics.values()) or "no topics"


def _topics(reader: AnyReader) -> dict[str, Topic]:
    topics: dict[str, Topic] = {}
    for connection in sorted(reader.connections, key=lambda each: each.topic):
        name = absolute(connection.topic)
        qos = tuple(connection.ext.offered_qos_profiles) if isinstance(connection.ext, ConnectionExtRosbag2) else ()
        before = topics[name].count if name in topics else 0
        topics[name] = Topic(name, connection.msgtype, before + connection.msgcount, qos)
    return topics


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
