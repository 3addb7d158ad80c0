"""Records of MCAP files (https://mcap.dev/spec): opcode, length, content; all numbers little endian."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from replay_ros.bags.storage.piece import DamagedError

MAGIC = b"\x89MCAP0\r\n"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX = range(1, 9)
STATISTICS = 0x0B
FOOTER_BYTES = 20
UNFINISHED = "it ends without an end mark"
RECORD_HEAD = struct.Struct("<BQ")
MESSAGE_HEAD = struct.Struct("<HIQQ")  # channel, sequence number, receive stamp, publish stamp


@dataclass
class Fields:
    """Reads the fields of one record in their order. Raises DamagedError beyond its end."""

    data: bytes | memoryview
    position: int = 0

    def number(self, code: str) -> int:
        """Return an unsigned number. code: "H", "I" or "Q" of the module struct."""
        layout = f"<{code}"
        try:
            (value,) = struct.unpack_from(layout, self.data, self.position)
        except struct.error as error:
            raise DamagedError("a record is too short") from error
        self.position += struct.calcsize(layout)
        return int(value)

    def bytes(self) -> bytes:
        """Return bytes that their length precedes."""
        size = self.number("I")
        begin = self.position
        self.position += size
        if self.position > len(self.data):
            raise DamagedError("a field is longer than its record")
        return bytes(self.data[begin : self.position])

    def text(self) -> str:
        """Return UTF-8 text."""
        return self.bytes().decode(errors="replace")

    def texts(self) -> dict[str, str]:
        """Return pairs of texts."""
        inner = Fields(self.bytes())
        found = {}
        while inner.position < len(inner.data):
            key = inner.text()
            found[key] = inner.text()
        return found


def records_in(data: bytes) -> Iterator[tuple[int, memoryview]]:
    """Iterate over opcodes and contents in a buffer. Raises DamagedError at the first record that does not fit."""
    view, position = memoryview(data), 0
    while position < len(view):
        if position + RECORD_HEAD.size > len(view):
            raise DamagedError("a record is cut")
        opcode, size = RECORD_HEAD.unpack_from(view, position)
        begin = position + RECORD_HEAD.size
        position = begin + size
        if position > len(view):
            raise DamagedError("a record is longer than what holds it")
        yield opcode, view[begin:position]


def records_of_file(file: BinaryIO, begin: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Iterate over opcode, offset and length of the contents of records up to the footer, without reading them.

    begin: offset of the first record. size: of the file. Raises DamagedError at the first record that does not fit; the
    second argument of the exception is its offset.
    """
    position = begin
    while position < size:
        file.seek(position)
        head = file.read(RECORD_HEAD.size)
        if len(head) < RECORD_HEAD.size:
            raise DamagedError("it is cut", position)
        opcode, length = RECORD_HEAD.unpack(head)
        inside = position + RECORD_HEAD.size
        if opcode == FOOTER:
            if length == FOOTER_BYTES and inside + length + len(MAGIC) == size:
                return
            raise DamagedError("it has an end mark before its end", position)
        if opcode == 0 or inside + length > size:
            raise DamagedError("a record is cut or broken", position)
        yield opcode, inside, length
        position = inside + length
    raise DamagedError(UNFINISHED, position)
