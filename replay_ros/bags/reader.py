"""Read rosbag2 recordings (mcap or sqlite3, whole or split, compressed or not) without ROS.

What cannot be used is left out and named in `Bag.remarks`. DamagedError files are read as far as they go.
"""

from __future__ import annotations

import heapq
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perception_common.errors import InputError
from replay_ros.bags.cdr import CdrError, Decoder
from replay_ros.bags.definitions import Definitions
from replay_ros.bags.messages import load_types
from replay_ros.bags.storage.compression import ZSTD_MAGIC, decompress
from replay_ros.bags.storage.piece import DamagedError, Piece, StoredMessage
from replay_ros.bags.storage_files import BagFiles, find_files, open_piece, recovery_advice, why_unreadable
from replay_ros.bags.verdict import (
    NO_MESSAGES,
    Topic,
    absolute,
    compare_with_metadata,
    describe_topics,
    sort_channels,
    span_of,
)


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
    """An open bag, as `open_bag` yields it.

    topics: what can be used, by absolute name, in the order of the names. left_out: topics that cannot. start_ns,
    end_ns: when the first and the last message of these topics were received, nanoseconds.
    """

    def __init__(self, path: Path, files: BagFiles, pieces: Mapping[Path, Piece], unread: Mapping[Path, str]) -> None:
        self.path = path
        self._pieces = pieces
        channels = [(index, each) for index, piece in enumerate(pieces.values()) for each in piece.channels]
        self.topics, self._used, self.left_out = sort_channels(channels, files.metadata)
        self._definitions = Definitions(load_types())
        self._broken: dict[str, tuple[int, str]] = {}  # number of unusable messages and first cause, by topic
        counts: Counter[str] = Counter()
        for _, channel in channels:
            counts[absolute(channel.topic)] += channel.count
        used = [each for index, each in channels if (index, each.id) in self._used]
        self.start_ns, self.end_ns = span_of(used)
        start, end = span_of([each for _, each in channels])
        span_s = (end - start) / 1e9
        parts = [each for each in self.left_out if absolute(each.name) in self.topics]  # the rest of the topic is used
        self._lost = [
            *files.losses,
            *(f"{file.name} is left out: {cause}" for file, cause in unread.items()),
            *map(str, parts),
        ]
        self._notes = [
            *files.notes,
            *(compare_with_metadata(files.metadata, files.missing, counts, span_s) if files.metadata else ()),
            *(str(each) for each in self.left_out if each not in parts),
        ]

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the user should know: contradictions, topics that are left out, and losses; reading may add some."""
        return (*self._notes, *self.losses)

    @property
    def losses(self) -> tuple[str, ...]:
        """What of the ROS 2 messages could not be read, in words; reading may add some."""
        losses = [f"{file.name}: {each}" for file, piece in self._pieces.items() for each in piece.losses]
        broken = [
            f"{count} messages on {topic} are left out: {cause}" for topic, (count, cause) in self._broken.items()
        ]
        return (*self._lost, *losses, *broken)

    @property
    def count(self) -> int:
        """Number of messages that can be used."""
        return sum(topic.count for topic in self.topics.values())

    def topic(self, name: str) -> Topic:
        """Return the topic of that name, with or without the leading slash. Raises InputError when there is none."""
        topic = self.topics.get(absolute(name))
        if topic is not None:
            return topic
        for each in self.left_out:
            if absolute(each.name) == absolute(name):
                raise InputError(f"{self.path}: {each}")
        raise InputError(f"{self.path} has no topic {name}; it has {describe_topics(self.topics)}")

    def filled_topic(self, name: str) -> Topic:
        """Return the topic of that name. Raises InputError when there is none, and when it has no messages."""
        topic = self.topic(name)
        if topic.count == 0:
            raise InputError(f"{topic.name} in {self.path} has {NO_MESSAGES}")
        return topic

    def of_type(self, *types: str) -> list[Topic]:
        """Return the topics of these types that hold messages, sorted by name."""
        return [topic for topic in self.topics.values() if topic.type in types and topic.count > 0]

    def raw_messages(self, topics: Iterable[str] | None = None) -> Iterator[RawMessage]:
        """Iterate over messages as bytes in the order of their receive stamps; None: all topics.

        Messages that cannot be read are left out and counted in `remarks`. Raises InputError for a topic that is
        missing, and when none of the messages can be read.
        """
        names = set(self.topics) if topics is None else {self.topic(name).name for name in topics}
        broken: dict[str, tuple[int, str]] = {}
        sources = []
        for index, piece in enumerate(self._pieces.values()):
            chosen = {
                number: topic for (where, number), topic in self._used.items() if where == index and topic.name in names
            }
            if chosen:
                sources.append(self._messages_of(piece, chosen, broken))
        is_empty = True
        for message in heapq.merge(*sources, key=lambda each: each.stamp_ns):
            is_empty = False
            yield message
        self._broken |= broken
        if is_empty and any(self.topics[name].count for name in names):
            raise InputError(
                f"{self.path} is damaged after 0 messages ({'; '.join(self.remarks)}); {recovery_advice(self.path)}"
            )

    def messages(self, topics: Iterable[str] | None = None) -> Iterator[BagMessage]:
        """Iterate over messages in the order of their receive stamps; None: all topics that can be decoded.

        Messages that cannot be decoded are left out and counted in `remarks`. Raises InputError for a topic that is
        missing or of an unknown type, and for one none of whose messages can be decoded.
        """
        names = {self.topic(name).name for name in topics} if topics is not None else set(self.decodable_topics())
        decoded: set[str] = set()
        broken: dict[str, tuple[int, InputError]] = {}
        for name in names:
            self._decoder(self.topics[name])
        for raw in self.raw_messages(names):
            try:
                message = self.deserialize(raw)
            except InputError as error:
                count, first = broken.get(raw.topic, (0, error))
                broken[raw.topic] = (count + 1, first)
                continue
            decoded.add(raw.topic)
            yield BagMessage(raw.topic, raw.type, raw.stamp_ns, message)
        for name, (count, cause) in broken.items():
            if name not in decoded:
                raise cause
            self._broken[name] = (count, f"not a {self.topics[name].type} ({cause.__cause__})")

    def decodable_topics(self) -> list[str]:
        """Return the names of the topics whose messages can be decoded."""
        return [topic.name for topic in self.topics.values() if not self.decoding_problem(topic)]

    def decoding_problem(self, topic: Topic) -> str:
        """Return why the messages of a topic cannot be decoded, only copied; empty when they can."""
        try:
            self._decoder(topic)
        except InputError as error:
            return str(error.__cause__)
        return ""

    def deserialize(self, raw: RawMessage) -> Any:
        """Decode a message. Raises InputError when its type is unknown or its bytes do not fit the type."""
        decoder = self._decoder(self.topic(raw.topic))
        try:
            return decoder.decode(raw.data, raw.type)
        except CdrError as error:
            raise InputError(
                f"{self.path}: a message on {raw.topic} at {raw.stamp_ns / 1e9:.6f} s is not a {raw.type} ({error}); "
                "check what publishes it"
            ) from error

    def header_stamp(self, raw: RawMessage) -> int | None:
        """Return the stamp in the header of a message, nanoseconds; None for a type without one, or an unknown type."""
        topic = self.topics[raw.topic]
        if self.decoding_problem(topic) or not (decoder := self._decoder(topic)).has_header(topic.type):
            return None
        try:
            return decoder.stamp(raw.data)
        except CdrError:
            return None

    def first_message(self, topic: str) -> Any | None:
        """Return the first message of a topic that can be decoded, or None when it holds none."""
        return next((item.message for item in self.messages([topic])), None)

    def _decoder(self, topic: Topic) -> Decoder:
        try:
            return self._definitions.decoder(topic.type, topic.definition)
        except CdrError as error:
            raise InputError(
                f"{topic.name} in {self.path} is a {topic.type}, which cannot be decoded: {error}; "
                "record it with ROS 2 Iron or later"
            ) from error

    def _messages_of(
        self, piece: Piece, chosen: Mapping[int, Topic], broken: dict[str, tuple[int, str]]
    ) -> Iterator[RawMessage]:
        for stored in piece.messages(list(chosen)):
            topic = chosen[stored.channel]
            try:
                yield RawMessage(topic.name, topic.type, stored.stamp_ns, _uncompressed(stored))
            except DamagedError as error:
                broken[topic.name] = (broken.get(topic.name, (0, ""))[0] + 1, str(error))


def print_remark(path: Path, remark: str) -> None:
    """Print a remark on a bag on stderr."""
    print(f"{path}: {remark}", file=sys.stderr)


@contextmanager
def open_bag(path: Path | str, tell: Callable[[Path, str], None] = print_remark) -> Iterator[Bag]:
    """Open a bag: its folder, or one storage file.

    A folder without metadata.yaml (the recorder was killed) is read from the storage files in it. `tell` gets each
    remark on what is left out: those of opening at once, those of reading when the block ends.
    Raises InputError, with advice, for a path that is missing, not a bag, without messages, or unreadable as a whole.
    """
    path = Path(path)
    files = find_files(path)
    with ExitStack() as stack:
        pieces: dict[Path, Piece] = {}
        unread: dict[Path, str] = {}
        for file in files.files:
            try:
                pieces[file] = open_piece(file, stack)
            except (DamagedError, OSError) as error:
                unread[file] = str(getattr(error, "strerror", None) or error.args[0])
        if not pieces:
            raise InputError(why_unreadable(path, unread))
        bag = Bag(path, files, pieces, unread)
        if bag.count == 0:
            raise InputError(_why_without_messages(bag))
        told = bag.remarks
        for remark in told:
            tell(path, remark)
        yield bag
        for remark in bag.remarks:
            if remark not in told:
                tell(path, remark)


def _why_without_messages(bag: Bag) -> str:
    """Say why no message of a bag can be used, and what to do."""
    if bag.losses:
        return f"{bag.path} cannot be read as a bag ({'; '.join(bag.remarks)}); {recovery_advice(bag.path)}"
    if bag.left_out:
        causes = "; ".join(map(str, bag.left_out))
        return f"{bag.path} holds no messages of ROS 2 ({causes}); record it with ROS 2, or convert it"
    details = f" ({'; '.join(bag.remarks)})" if bag.remarks else ""
    return f"{bag.path} holds no messages{details}; record it again and check that the topics are published"


def _uncompressed(stored: StoredMessage) -> bytes:
    """Return a message, uncompressed where the recorder used compression mode MESSAGE; CDR begins with 0."""
    return decompress(stored.data, "zstd") if stored.data.startswith(ZSTD_MAGIC) else stored.data
