"""Tells whether a JPEG is complete and undamaged.

libjpeg decodes a cut or damaged JPEG without an error: it makes what is missing gray and shows what is damaged as
blocks of random colours. Every picture's marks are checked (`check_jpeg`). Where the decoded picture looks as if data
were missing or damaged, its code words are read (`check_jpeg_pixels`), which is slow and exact.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from perception_common.errors import InputError
from perception_common.images.pictures.jpeg_codes import BlockCodes, code_lengths, count_units

JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""The markers (SOF) of the segment that holds the size; metadata stand before it."""
_EOI, _SOS, _DQT, _DRI, _DHT = 0xD9, 0xDA, 0xDB, 0xDD, 0xC4
_BASELINE = {0xC0, 0xC1}
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_END_OF_CODED = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # a zero byte escapes 0xFF in coded pixels
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")
_GRAY = 128  # what libjpeg puts where data are missing, in all channels
_JUMP, _JUMP_PER_STEP = (
    2.0,
    0.5,
)  # gray levels; empirical: real images of quality 10 to 98 stay below, damaged lie above
_LEFTOVER = 64  # bytes that belong to no pixel and mean damage; some webcams leave a dozen in every image


@dataclass(frozen=True)
class Segment:
    """A part of a JPEG. begin, end: of its content; that of a scan (_SOS) includes the coded pixels behind it."""

    marker: int
    begin: int
    end: int
    coded: int = 0  # of a scan: where its coded pixels begin


@dataclass(frozen=True)
class _Scan:
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
    """Raise InputError, which names the cause and not the picture, for a cut JPEG and for missing restart marks.

    Bytes after the end mark are padding and not looked at.
    """
    segments = list(jpeg_segments(data))
    if not segments or segments[-1].marker != _EOI:
        raise InputError(f"is truncated: {len(data)} bytes without an end mark")
    scan = _only_scan(data, segments)
    if scan is not None and scan.interval:
        expected = [index % 8 for index in range(-(-scan.units // scan.interval) - 1)]
        marks = [found[1][0] - 0xD0 for found in _RESTART.finditer(scan.coded)]
        if marks[: len(expected)] != expected:
            raise InputError(
                f"is damaged: {len(marks)} restart marks where {len(expected)} are expected, or not in order"
            )


def check_jpeg_pixels(data: bytes, image: np.ndarray) -> None:
    """Raise InputError, which names the cause and not the picture, where the coded data do not fit the pixels.

    data: for which `check_jpeg` holds. image: decoded from it, (H, W) or (H, W, 3) uint8. Only pictures that look
    damaged are checked, and none that are progressive.
    """
    if not (_has_gray_blocks(image) or _is_blocky(image, _quantisation_step(data))):
        return
    scan = _only_scan(data, jpeg_segments(data))
    if scan is None:
        return
    tables: dict[int, np.ndarray] = {}
    for content in scan.tables:
        tables |= code_lengths(content)
    codes = {block: BlockCodes(tables[block[0]], tables[block[1]]) for block in set(scan.blocks)}
    blocks = [codes[block] for block in scan.blocks]
    intervals = _RESTART.split(scan.coded)[::2] if scan.interval else [scan.coded]
    length = scan.interval or scan.units
    read, leftover = 0, 0
    for index in range(-(-scan.units // length)):
        units = min(length, scan.units - index * length)
        count, unread = count_units(intervals[index], blocks, units)
        read += count
        leftover = max(leftover, unread)
    if read < scan.units:
        share = 100 * (1 - read / scan.units)
        raise InputError(f"is damaged: {share:.1f} % of its pixels have no data or cannot be read")
    if leftover >= _LEFTOVER:
        raise InputError(f"is damaged: {leftover} bytes of its data belong to no pixel")


def _has_gray_blocks(image: np.ndarray) -> bool:
    """Tell whether the centre of a block of 8x8 pixels is as gray as a block without data."""
    centres = [image[first::8, first::8] for first in (3, 4)]
    height, width = (min(each.shape[axis] for each in centres) for axis in (0, 1))
    is_gray = np.logical_and(*(each[:height, :width] == _GRAY for each in centres))
    return bool((is_gray if image.ndim == 2 else is_gray.all(axis=-1)).any()) or min(height, width) == 0


def _is_blocky(image: np.ndarray, step: int) -> bool:
    """Tell whether gray values jump at the borders of blocks far more than inside, in a tenth of the rows of blocks.

    step: of the quantisation, which makes jumps in undamaged pictures as well.
    """
    width = image.shape[1] // 8 * 8
    if image.shape[0] < 8 or width < 24:
        return True
    gray = (image if image.ndim == 2 else image[..., 1])[4::8, :width].astype(np.float32)
    slope = np.diff(gray, axis=1)
    at_borders, inside = (
        np.abs(slope[:, 8 + first :: 8] - (slope[:, 7 + first : -1 : 8] + slope[:, 9 + first :: 8]) / 2).mean(axis=1)
        for first in (-1, -5)
    )
    return bool(np.quantile(at_borders - inside, 0.9) > _JUMP + _JUMP_PER_STEP * step)


def _quantisation_step(data: bytes) -> int:
    """Return the step of the mean of a block of the first component, as most encoders write it: in the first table."""
    for segment in jpeg_segments(data):
        if segment.marker == _DQT:
            content = data[segment.begin : segment.end]
            return content[1] if content[0] < 16 else int.from_bytes(content[1:3], "big")
    return 1


def _end_of_scan(data: bytes, begin: int) -> int:
    """Return where the next marker begins that does not belong to the coded pixels."""
    found = _END_OF_CODED.search(data, begin)
    return len(data) if found is None else found.start()


def _only_scan(data: bytes, segments: Iterable[Segment]) -> _Scan | None:
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
            return _Scan(data[segment.coded : segment.end], units, interval, tuple(tables), tuple(blocks))
    return None
