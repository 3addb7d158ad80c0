"""Reads the segments of a JPEG, and tells whether all of them are there."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from perception_common.errors import InputError

JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""The markers (SOF) of the segment that holds the size; metadata stand before it."""
DQT = 0xDB
_EOI, _SOS, _DRI, _DHT = 0xD9, 0xDA, 0xDD, 0xC4
_BASELINE, _PROGRESSIVE = {0xC0, 0xC1}, 0xC2
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_END_OF_CODED = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # a zero byte escapes 0xFF in coded pixels
RESTART = re.compile(rb"\xff([\xd0-\xd7])")


@dataclass(frozen=True)
class Segment:
    """A part of a JPEG. begin, end: of its content; that of a scan (_SOS) includes the coded pixels behind it."""

    marker: int
    begin: int
    end: int
    coded: int = 0  # of a scan: where its coded pixels begin


@dataclass(frozen=True)
class Scan:
    """The only scan of a baseline picture.

    coded: the data of its pixels. units: number of MCUs. interval: of restarts, in units; 0: none. tables: the DHT
    segments. blocks: class and number of the two tables of each block of a unit.
    """

    coded: bytes
    units: int
    interval: int
    tables: tuple[bytes, ...]
    blocks: tuple[tuple[int, int], ...]


def jpeg_segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments up to the end mark, which is the last one; without an end mark the data are cut.

    Raises InputError, which names the cause and not the picture, for data that are no sequence of segments.
    """
    position = 2
    while position + 2 <= len(data):
        found = _MARKER.match(data, position)
        if found is None:
            if not data[position:].strip(b"\xff"):
                return
            raise InputError(f"is damaged: no marker at byte {position}")
        marker, begin = found[1][0], found.end()
        if marker == _EOI:
            yield Segment(marker, begin, begin)
            return
        if begin + 2 > len(data):
            return
        (length,) = struct.unpack_from(">H", data, begin)
        position = coded = begin + length
        if marker == _SOS:
            position = _end_of_scan(data, coded)
        yield Segment(marker, begin + 2, position, coded)


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Return width and height. Raises InputError where the data end before."""
    for segment in jpeg_segments(data):
        if segment.marker in JPEG_SIZES:
            height, width = struct.unpack_from(">HH", data, segment.begin + 1)
            return width, height
    raise InputError(f"is truncated: {len(data)} bytes of a JPEG without a header")


def check_jpeg(data: bytes) -> None:
    """Raise InputError, which names the cause and not the picture, for a cut JPEG, missing restart marks and scans.

    Bytes after the end mark are padding and not looked at.
    """
    segments = list(jpeg_segments(data))
    if not segments or segments[-1].marker != _EOI:
        raise InputError(f"is truncated: {len(data)} bytes without an end mark")
    if any(segment.marker == _PROGRESSIVE for segment in segments):
        _check_scans(data, segments)
    scan = only_scan(data, segments)
    if scan is not None and scan.interval:
        expected = [index % 8 for index in range(-(-scan.units // scan.interval) - 1)]
        marks = [found[1][0] - 0xD0 for found in RESTART.finditer(scan.coded)]
        if marks[: len(expected)] != expected:
            raise InputError(
                f"is damaged: {len(marks)} restart marks where {len(expected)} are expected, or not in order"
            )


def only_scan(data: bytes, segments: Iterable[Segment]) -> Scan | None:
    """Return the scan of a baseline picture whose components are all in one scan; None for other pictures."""
    tables: list[bytes] = []
    factors: dict[int, tuple[int, int]] = {}
    interval = height = width = 0
    for segment in segments:
        content = data[segment.begin : segment.coded]
        if segment.marker == _DRI:
            (interval,) = struct.unpack_from(">H", content)
        elif segment.marker == _DHT:
            tables.append(content)
        elif segment.marker in JPEG_SIZES:
            if segment.marker not in _BASELINE:
                return None
            _, height, width, count = struct.unpack_from(">BHHB", content)
            for at in range(6, 6 + 3 * count, 3):
                factors[content[at]] = content[at + 1] >> 4, content[at + 1] & 15
        elif segment.marker == _SOS:
            if content[0] != len(factors):
                return None
            if len(factors) == 1:
                factors = dict.fromkeys(factors, (1, 1))
            blocks: list[tuple[int, int]] = []
            for at in range(1, 1 + 2 * content[0], 2):
                across, down = factors[content[at]]
                blocks += [(content[at + 1] >> 4, content[at + 1] & 15 | 16)] * (across * down)
            widest, highest = (8 * max(factor[axis] for factor in factors.values()) for axis in (0, 1))
            units = -(-width // widest) * -(-height // highest)
            return Scan(data[segment.coded : segment.end], units, interval, tuple(tables), tuple(blocks))
    return None


def _check_scans(data: bytes, segments: Iterable[Segment]) -> None:
    """Raise InputError unless the scans of a progressive picture hold all bits of all coefficients."""
    missing: dict[tuple[int, int], int] = {}  # lowest bits that are still unknown, by component and coefficient
    for segment in segments:
        content = data[segment.begin : segment.coded]
        if segment.marker == _PROGRESSIVE:
            missing = {(content[at], index): 1 for at in range(6, 6 + 3 * content[5], 3) for index in range(64)}
        elif segment.marker == _SOS:
            at = 1 + 2 * content[0]
            first, last, bits = content[at], content[at + 1], content[at + 2]
            for component in content[1 : 1 + 2 * content[0] : 2]:
                missing |= dict.fromkeys(((component, index) for index in range(first, last + 1)), bits & 15)
    if count := sum(bit > 0 for bit in missing.values()):
        raise InputError(f"is damaged: its scans leave out {count} of {len(missing)} coefficients")


def _end_of_scan(data: bytes, begin: int) -> int:
    """Return where the next marker begins that does not belong to the coded pixels."""
    found = _END_OF_CODED.search(data, begin)
    return len(data) if found is None else found.start()
