"""Tells whether a PNG is complete and undamaged."""

from __future__ import annotations

import struct
import zlib

from perception_common.errors import InputError

_FIRST_CHUNK = 8  # behind the signature


def check_png(data: bytes) -> None:
    """Raise InputError, which names the cause and not the picture, for a cut or damaged PNG.

    Bytes after the last chunk are padding and not looked at.
    """
    position = _FIRST_CHUNK
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            break
        if kind[0:1].isupper() and zlib.crc32(data[position + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            name = kind.decode("latin-1")
            raise InputError(f"is damaged: the checksum of its {name!r} part at byte {position} is wrong")
        if kind == b"IEND":
            return
        position = end + 4
    raise InputError(f"is truncated: {len(data)} bytes without an end mark")
