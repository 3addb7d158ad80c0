"""Bags for the tests of storage: words on topics, and MCAP files made record by record."""

import struct
from pathlib import Path

import pytest

from replay_ros.bags.messages import load_types, new
from replay_ros.bags.reader import open_bag
from replay_ros.bags.writer import BagWriter

TYPES = load_types()
MAGIC = b"\x89MCAP0\r\n"


def serialise(value):
    """Serialise a std_msgs/String."""
    return bytes(TYPES.serialize_cdr(new(TYPES, "std_msgs/msg/String", data=value), "std_msgs/msg/String"))


@pytest.fixture
def cdr():
    """Return a function that serialises a std_msgs/String."""
    return serialise


@pytest.fixture
def write_words():
    """Return a function that writes words on the topic `words`, one a nanosecond from 1 on."""

    def write(path, words, storage="mcap"):
        with BagWriter(path, storage) as bag:
            bag.declare("words", "std_msgs/msg/String")
            for number, word in enumerate(words, start=1):
                bag.write_raw("words", serialise(word), number)
        return path

    return write


@pytest.fixture
def read_words():
    """Return a function that reads a bag: the words on the topic `words`, and the remarks."""

    def read(path):
        remarks = []
        with open_bag(path, lambda _, remark: remarks.append(remark)) as bag:
            words = [item.message.data for item in bag.messages(["words"])]
        return words, remarks

    return read


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<I", len(data)) + data


def record(opcode, content):
    return struct.pack("<BQ", opcode, len(content)) + content


class McapBuilder:
    """Writes an MCAP file record by record, as https://mcap.dev/spec describes it."""

    def __init__(self, profile="ros2"):
        self.data = MAGIC + record(1, text(profile) + text("test"))

    def channel(
        self, number, topic, *, kind="std_msgs/msg/String", form="ros2msg", definition="string data", encoding="cdr"
    ):
        schema = number if kind else 0
        if kind:
            self.data += record(3, struct.pack("<H", schema) + text(kind) + text(form) + text(definition))
        self.data += record(4, struct.pack("<HH", number, schema) + text(topic) + text(encoding) + text(b""))
        return self

    def message(self, number, stamp, data):
        self.data += message_record(number, stamp, data)
        return self

    def chunk(self, messages, *, size=None, crc=0, compression="", stored=None):
        """Add a chunk without index. messages: (channel, stamp, data). size, stored: instead of the true ones."""
        content = b"".join(message_record(*each) for each in messages)
        stored = content if stored is None else stored
        head = struct.pack("<QQQI", 1, 1, len(content) if size is None else size, crc)
        self.data += record(6, head + text(compression) + struct.pack("<Q", len(stored)) + stored)
        return self

    def statistics(self, count):
        self.data += record(0x0B, struct.pack("<QHIIIIQQI", count, 0, 0, 0, 0, 0, 0, 0, 0))
        return self

    def write(self, path: Path):
        path.write_bytes(self.data + record(2, struct.pack("<QQI", 0, 0, 0)) + MAGIC)
        return path


def message_record(number, stamp, data):
    return record(5, struct.pack("<HIQQ", number, 0, stamp, stamp) + data)


@pytest.fixture
def mcap():
    return McapBuilder
