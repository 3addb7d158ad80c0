"""Read MCAP files: whole, cut, without index, with chunks in any order, and with damaged parts.

Counts come from the records of the file and not from its statistics. Opening reads no chunk that has an index.
"""

from __future__ import annotations

import heapq
from binascii import crc32
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from replay_ros.bags.storage.compression import decompress
from replay_ros.bags.storage.piece import (
    MAX_BLOCK_BYTES,
    MAX_STAMP_NS,
    Channel,
    DamagedError,
    Definition,
    StoredMessage,
    read_qos,
)
from replay_ros.bags.storage.records import (
    CHANNEL,
    CHUNK,
    CHUNK_INDEX,
    FOOTER_BYTES,
    MAGIC,
    MESSAGE,
    MESSAGE_HEAD,
    MESSAGE_INDEX,
    RECORD_HEAD,
    SCHEMA,
    STATISTICS,
    UNFINISHED,
    Fields,
    records_in,
    records_of_file,
)

RUN_BYTES = 4 * 2**20  # messages outside of chunks are read in runs of about this size
CHUNK_HEAD_BYTES = 28 + 4 + 32 + 8  # with a name of the compression of at most 32 characters
NO_CHANNEL = -1


@dataclass
class _Block:
    """Messages that are read together: a chunk, or a run of messages outside of chunks.

    begin, end: offsets in the file. size: bytes after decompression. counts: messages by channel. spans_ns: receive
    stamps of the first and the last one, by channel.
    """

    begin: int
    end: int
    compression: str = ""
    size: int = 0
    crc: int = 0
    counts: Counter[int] = field(default_factory=Counter)
    spans_ns: dict[int, tuple[int, int]] = field(default_factory=dict)

    def count(self, channel: int, stamps_ns: np.ndarray) -> None:
        """Count messages. stamps_ns: (N,) uint64."""
        self.counts[channel] += len(stamps_ns)
        if len(stamps_ns):
            span = int(stamps_ns.min()), min(int(stamps_ns.max()), MAX_STAMP_NS)
            self.spans_ns[channel] = _joined(self.spans_ns.get(channel, span), span)

    @property
    def first_ns(self) -> int:
        """Receive stamp of the first message."""
        return min((first for first, _ in self.spans_ns.values()), default=0)


class McapFile:
    """An open MCAP file, a `Piece`."""

    def __init__(self, path: Path) -> None:
        """Open a file and find what is in it. Raises OSError, and DamagedError when nothing can be found."""
        self.losses: list[str] = []
        self._size = path.stat().st_size
        self._file = path.open("rb")
        self._schemas: dict[int, tuple[str, Definition]] = {}
        self._channels: dict[int, tuple[int, Channel]] = {}  # by id, with the id of the schema
        self._blocks: list[_Block] = []
        self._chunk: _Block | None = None  # the chunk whose index follows
        self._run: _Block | None = None  # the run that the next message outside of chunks belongs to
        self._claimed: int | None = None  # number of messages by the statistics
        try:
            self._find_everything()
        except BaseException:
            self._file.close()
            raise

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels, in the order of their ids."""
        counts: Counter[int] = Counter()
        spans: dict[int, tuple[int, int]] = {}
        for block in self._blocks:
            counts.update(block.counts)
            for number, span in block.spans_ns.items():
                spans[number] = _joined(spans.get(number, span), span)
        return tuple(self._channel(number, counts[number], spans.get(number)) for number in sorted(self._channels))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def messages(self, channels: Collection[int]) -> Iterator[StoredMessage]:
        """Iterate over the messages of these channels, in the order of their receive stamps."""
        wanted = frozenset(channels)
        blocks = [block for block in self._blocks if any(block.counts[number] for number in wanted)]
        # `merge` asks each source for its first item at once: the mark delays reading until the block's time comes.
        sources = (self._marked(block, wanted) for block in blocks)
        for message in heapq.merge(*sources, key=lambda each: each.stamp_ns):
            if message.channel != NO_CHANNEL:
                yield message

    def _marked(self, block: _Block, wanted: frozenset[int]) -> Iterator[StoredMessage]:
        yield StoredMessage(block.first_ns, NO_CHANNEL, b"")
        yield from sorted(self._messages_of(block, wanted), key=lambda each: each.stamp_ns)

    def _messages_of(self, block: _Block, wanted: frozenset[int]) -> list[StoredMessage]:
        found, messages, cause = Counter[int](), [], "its index names others"
        try:
            for opcode, data in records_in(self._content(block)):
                if opcode != MESSAGE:
                    continue
                channel, stamp_ns = _message_head(data)
                found[channel] += 1
                if channel in wanted:
                    messages.append(StoredMessage(stamp_ns, channel, bytes(data[MESSAGE_HEAD.size :])))
        except (DamagedError, OSError) as error:
            cause = str(error.args[0])
        if lost := (block.counts - found).total():
            self._lose(f"{lost} messages in the chunk at byte {block.begin} cannot be read: {cause}")
        return messages

    def _content(self, block: _Block) -> bytes:
        stored = block.end - block.begin
        if max(stored, block.size) > MAX_BLOCK_BYTES:
            raise DamagedError(f"it has {max(stored, block.size)} bytes, more than {MAX_BLOCK_BYTES}")
        data = decompress(self._read(block.begin, stored), block.compression, block.size)
        if len(data) != block.size:
            raise DamagedError(f"it has {len(data)} bytes instead of {block.size}")
        if block.crc and crc32(data) != block.crc:
            raise DamagedError("its checksum is wrong")
        return data

    def _read(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)

    def _lose(self, loss: str) -> None:
        if loss not in self.losses:
            self.losses.append(loss)

    def _find_everything(self) -> None:
        starts = [len(MAGIC)]
        faults: list[tuple[int, str]] = []
        while starts:
            try:
                for opcode, begin, length in records_of_file(self._file, starts.pop(), self._size):
                    try:
                        self._take(opcode, begin, length)
                    except DamagedError as error:
                        faults.append((begin - RECORD_HEAD.size, str(error)))
                break
            except DamagedError as error:
                cause, offset = error.args
                if cause == UNFINISHED:
                    self._lose(f"{cause}: the recorder was stopped, and what it had not yet written is missing")
                    break
                if not faults:
                    starts = self._indexed_chunks()  # in descending order
                faults.append((offset, cause))
                while starts and starts[-1] <= offset:
                    starts.pop()
        self._finish_chunk()
        if faults:
            others = f", and at {len(faults) - 1} more places," if len(faults) > 1 else ""
            self._lose(f"what is at byte {faults[0][0]} of {self._size}{others} cannot be read: {faults[0][1]}")
        self._find_missing_channels()
        self._compare_with_statistics()

    def _take(self, opcode: int, begin: int, length: int) -> None:
        if opcode != MESSAGE_INDEX:
            self._finish_chunk()
        if opcode == MESSAGE:
            self._take_message(begin, length)
        elif opcode == CHUNK:
            self._take_chunk(begin, length)
        elif opcode == MESSAGE_INDEX:
            self._take_index(Fields(self._read(begin, min(length, MAX_BLOCK_BYTES))))
        elif opcode in (SCHEMA, CHANNEL):
            self._take_description(opcode, Fields(self._read(begin, min(length, MAX_BLOCK_BYTES))))
        elif opcode == STATISTICS:
            self._claimed = Fields(self._read(begin, 8)).number("Q")

    def _take_message(self, begin: int, length: int) -> None:
        channel, stamp_ns = _message_head(self._read(begin, min(length, MESSAGE_HEAD.size)))
        end = begin + length
        if self._run is None or end - self._run.begin > RUN_BYTES:
            self._run = _Block(begin - RECORD_HEAD.size, end)
            self._blocks.append(self._run)
        self._run.end, self._run.size = end, end - self._run.begin
        self._run.count(channel, np.array([stamp_ns], np.uint64))

    def _take_chunk(self, begin: int, length: int) -> None:
        self._run = None
        head = Fields(self._read(begin, min(length, CHUNK_HEAD_BYTES)))
        head.position = 16  # its first and last stamp, which the index tells as well
        size, crc, compression = head.number("Q"), head.number("I"), head.text()
        stored = head.number("Q")
        if head.position + stored != length:
            raise DamagedError("the sizes in a chunk contradict each other")
        self._chunk = _Block(begin + head.position, begin + length, compression, size, crc)

    def _take_index(self, index: Fields) -> None:
        if self._chunk is None:
            raise DamagedError("the index of a chunk that is missing")
        channel = index.number("H")
        entries = index.bytes()
        stamps = np.frombuffer(entries, "<u8", 2 * (len(entries) // 16))[::2]  # (stamp, offset) pairs
        self._chunk.count(channel, stamps)

    def _finish_chunk(self) -> None:
        block, self._chunk = self._chunk, None
        if block is None:
            return
        if not block.counts:
            self._scan(block)
        self._blocks.append(block)

    def _scan(self, block: _Block) -> None:
        """Count the messages of a chunk without index, and find its channels."""
        try:
            for opcode, data in records_in(self._content(block)):
                if opcode == MESSAGE:
                    channel, stamp_ns = _message_head(data)
                    block.count(channel, np.array([stamp_ns], np.uint64))
                elif opcode in (SCHEMA, CHANNEL):
                    self._take_description(opcode, Fields(data))
        except (DamagedError, OSError) as error:
            self._lose(f"a part of the chunk at byte {block.begin} cannot be read: {error.args[0]}")

    def _take_description(self, opcode: int, data: Fields) -> None:
        number = data.number("H")
        if opcode == SCHEMA:
            name, encoding = data.text(), data.text()
            self._schemas.setdefault(number, (name, Definition(encoding, data.text())))
            return
        schema, topic, encoding = data.number("H"), data.text(), data.text()
        options = data.texts()
        qos = read_qos(options.get("offered_qos_profiles", ""))
        digest = options.get("topic_type_hash", "")
        channel = Channel(number, topic, "", encoding, Definition(digest=digest), qos, 0)
        self._channels.setdefault(number, (schema, channel))

    def _channel(self, number: int, count: int, span_ns: tuple[int, int] | None) -> Channel:
        schema, channel = self._channels[number]
        name, definition = self._schemas.get(schema, ("", Definition()))
        definition = Definition(definition.format, definition.text, channel.definition.digest)
        return Channel(number, channel.topic, name, channel.encoding, definition, channel.qos, count, span_ns)

    def _find_missing_channels(self) -> None:
        """Look into chunks for channels that no description outside of chunks names, as in a cut file."""
        for block in self._blocks:
            if all(number in self._channels for number in block.counts):
                continue
            with suppress(DamagedError, OSError):
                for opcode, data in records_in(self._content(block)):
                    if opcode in (SCHEMA, CHANNEL):
                        self._take_description(opcode, Fields(data))
        unknown = sum(
            count for block in self._blocks for number, count in block.counts.items() if number not in self._channels
        )
        if unknown:
            self._lose(f"{unknown} messages of channels that it does not describe are left out")

    def _compare_with_statistics(self) -> None:
        found = sum(block.counts.total() for block in self._blocks)
        if self._claimed is not None and self._claimed != found:
            self._lose(f"its statistics count {self._claimed} messages, and it holds {found}")

    def _indexed_chunks(self) -> list[int]:
        """Return the offsets of all chunks, the last one first, as the end of the file names them; none without it."""
        end = self._read(max(self._size - len(MAGIC) - FOOTER_BYTES, 0), FOOTER_BYTES + len(MAGIC))
        if not end.endswith(MAGIC):
            return []
        chunks = []
        with suppress(DamagedError):
            summary = Fields(end).number("Q")
            for opcode, begin, _ in records_of_file(self._file, summary or self._size, self._size):
                if opcode == CHUNK_INDEX:
                    position = begin + 16  # after the first and the last stamp
                    chunks.append(Fields(self._read(position, 8)).number("Q"))
        return sorted(set(chunks), reverse=True)


def _joined(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return min(one[0], other[0]), max(one[1], other[1])


def _message_head(data: bytes | memoryview) -> tuple[int, int]:
    """Return channel and receive stamp of a message record."""
    if len(data) < MESSAGE_HEAD.size:
        raise DamagedError("a message is cut")
    channel, _, stamp_ns, _ = MESSAGE_HEAD.unpack_from(data)
    if stamp_ns > MAX_STAMP_NS:
        raise DamagedError(f"a message has the impossible stamp {stamp_ns}")
    return channel, stamp_ns
