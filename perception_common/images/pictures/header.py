"""Reads format, size and orientation of an encoded picture from its header, before memory is taken for the pixels."""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from perception_common.errors import InputError
from perception_common.images.pictures.exif import UPRIGHT, exif_orientation, tiff_tags
from perception_common.images.pictures.jpeg import JPEG_SIZES, jpeg_segments, jpeg_size

_JPEG_APP1 = 0xE1  # marker of the segment that holds EXIF
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257  # tags


@dataclass(frozen=True)
class PictureHeader:
    """format: as "JPEG". width, height: pixels as stored. orientation: 1 to 8, as EXIF defines it; 1: upright.

    is_decoded_upright: the decoder turns the pixels of this format by itself.
    """

    format: str
    width: int
    height: int
    orientation: int = UPRIGHT
    is_decoded_upright: bool = False


def read_header(data: bytes) -> PictureHeader:
    """Read the header of an encoded picture. Raises InputError that names the cause and not the picture."""
    for name, signature, read in _FORMATS:
        if re.match(signature, data, re.DOTALL):
            try:
                header = read(name, data)
            except InputError:
                raise
            except (struct.error, ValueError, IndexError, AttributeError):
                raise InputError(f"is truncated: its {name} header is incomplete") from None
            if header.width < 1 or header.height < 1:
                raise InputError(f"cannot be decoded: its {name} header says {header.width}x{header.height} pixels")
            return header
    others = ", ".join(name for name, _, _ in _FORMATS[2:])
    raise InputError(f"is not an image, or cannot be decoded: JPEG and PNG are supported, and {others}")


def _png(name: str, data: bytes) -> PictureHeader:
    width, height = struct.unpack_from(">II", data, 16)
    position = 8  # behind the signature
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"eXIf":
            return PictureHeader(name, width, height, exif_orientation(data[position + 8 : position + 8 + length]))
        position += 12 + length
    return PictureHeader(name, width, height)


def _jpeg(name: str, data: bytes) -> PictureHeader:
    width, height = jpeg_size(data)
    for segment in itertools.takewhile(lambda segment: segment.marker not in JPEG_SIZES, jpeg_segments(data)):
        payload = data[segment.begin : segment.end]
        if segment.marker == _JPEG_APP1 and payload.startswith(b"Exif\0\0"):
            return PictureHeader(name, width, height, exif_orientation(payload[6:]))
    return PictureHeader(name, width, height)


def _bmp(name: str, data: bytes) -> PictureHeader:
    (size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH", data, 18) if size == 12 else struct.unpack_from("<ii", data, 18)
    return PictureHeader(name, width, abs(height))  # a negative height: the rows run downwards


def _tiff(name: str, data: bytes) -> PictureHeader:
    tags = tiff_tags(data)
    width, height = tags.get(_TIFF_WIDTH, 0), tags.get(_TIFF_HEIGHT, 0)
    return PictureHeader(name, width, height, exif_orientation(data), is_decoded_upright=True)


def _webp(name: str, data: bytes) -> PictureHeader:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", data, 26))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:  # VP8X
        struct.unpack_from("<6x", data, 24)
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    position = 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == b"EXIF":
            payload = data[position + 8 : position + 8 + length].removeprefix(b"Exif\0\0")
            return PictureHeader(name, width, height, exif_orientation(payload))
        position += 8 + length + length % 2
    return PictureHeader(name, width, height)


def _pnm(name: str, data: bytes) -> PictureHeader:
    token = rb"(?:\s|#[^\n]*\n)+(\d{1,9})"
    found = re.match(rb"P[1-6]" + token + token, data[:4096])
    if found is None:
        raise ValueError
    return PictureHeader(name, int(found[1]), int(found[2]))


def _gif(name: str, data: bytes) -> PictureHeader:
    return PictureHeader(name, *struct.unpack_from("<HH", data, 6))


def _jpeg_2000(name: str, data: bytes) -> PictureHeader:
    begin = data.index(b"\xff\x4f\xff\x51")  # start of the code stream, and its SIZ segment
    width, height, left, top = struct.unpack_from(">4I", data, begin + 8)
    return PictureHeader(name, width - left, height - top)


_FORMATS: tuple[tuple[str, bytes, Callable[[str, bytes], PictureHeader]], ...] = (
    ("JPEG", rb"\xff\xd8\xff", _jpeg),
    ("PNG", rb"\x89PNG", _png),
    ("BMP", rb"BM", _bmp),
    ("TIFF", rb"II\*\0|MM\0\*", _tiff),
    ("WebP", rb"RIFF....WEBP", _webp),
    ("PNM", rb"P[1-6][\s#]", _pnm),
    ("GIF", rb"GIF8[79]a", _gif),
    ("JPEG 2000", rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", _jpeg_2000),
)
