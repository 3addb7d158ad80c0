"""Event files, checked by an independent reader of the format and published CRC-32C test vectors."""

import struct

import pytest

from perception_common.training.events import EventFile, crc32c


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"123456789", 0xE3069283),
        (b"\x00" * 32, 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_the_checksum_equals_rfc_3720(data, expected):
    assert crc32c(data) == expected


def read_records(content: bytes) -> list[bytes]:
    records = []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        for data, stored in (
            (content[:8], content[8:12]),
            (content[12 : 12 + length], content[12 + length : 16 + length]),
        ):
            crc = crc32c(data)
            assert (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF == struct.unpack("<I", stored)[0]
        records.append(content[12 : 12 + length])
        content = content[16 + length :]
    return records


def read_fields(message: bytes) -> dict[int, object]:
    fields: dict[int, object] = {}
    position = 0

    def varint() -> int:
        nonlocal position
        value, shift = 0, 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            value: object = varint()
        elif kind == 2:
            length = varint()
            value = message[position : position + length]
            position += length
        else:
            size, code = {1: (8, "<d"), 5: (4, "<f")}[kind]
            value = struct.unpack(code, message[position : position + size])[0]
            position += size
        fields[key >> 3] = value
    return fields


def test_a_file_contains_the_version_and_the_values_with_their_steps(tmp_path):
    events = EventFile(tmp_path)
    events.add(300, {"training/loss": 0.25})
    events.close()
    (path,) = tmp_path.glob("events.out.tfevents.*")
    first, second = (read_fields(record) for record in read_records(path.read_bytes()))
    assert first[3] == b"brain.Event:2"
    assert second[2] == 300
    value = read_fields(read_fields(second[5])[1])
    assert value == {1: b"training/loss", 2: 0.25}
