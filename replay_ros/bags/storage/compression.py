"""Decompress chunks, messages and whole files without taking more memory or disk than they may."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from lz4.frame import LZ4FrameDecompressor

from perception_common.errors import InputError
from replay_ros.bags.storage.piece import MAX_BLOCK_BYTES, DamagedError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
COPY_BYTES = 2**20
SPACE_TO_LEAVE = 2**30  # bytes of the disk for temporary files that stay free


def decompress(data: bytes | memoryview, compression: str, max_bytes: int = MAX_BLOCK_BYTES) -> bytes:
    """Decompress "zstd" or "lz4" frames; "" returns the data. Raises DamagedError when it is broken or too large."""
    if not compression:
        return bytes(data)
    if compression not in ("zstd", "lz4"):
        raise DamagedError(f"its compression {compression[:20]!r} is unknown")
    parts: list[bytes] = []
    left, rest = max_bytes, bytes(data)
    try:
        while rest:  # several frames may follow each other
            frame = zstd.ZstdDecompressor() if compression == "zstd" else LZ4FrameDecompressor()
            parts.append(frame.decompress(rest, left + 1))
            left -= len(parts[-1])
            if left < 0:
                raise DamagedError(f"it holds more than {max_bytes} bytes")
            if not frame.eof:
                raise DamagedError(f"its {compression} data is cut")
            rest = frame.unused_data or b""
    except (zstd.ZstdError, RuntimeError, EOFError, ValueError) as error:  # RuntimeError: of lz4
        raise DamagedError(f"its {compression} data is broken ({error})") from error
    return b"".join(parts)


def unpack_file(packed: Path, unpacked: Path) -> str:
    """Decompress a zstd file; returns the cause where only its beginning can be read, else "".

    Raises InputError when the disk has no room for it.
    """
    written = 0
    room = shutil.disk_usage(unpacked.parent).free - SPACE_TO_LEAVE
    try:
        with zstd.open(packed, "rb") as source, unpacked.open("wb") as target:
            while part := source.read(COPY_BYTES):
                written += len(part)
                if written > room:
                    raise InputError(
                        f"{packed} holds more than {unpacked.parent} has room for; "
                        f"set TMPDIR to a larger disk or unpack it: `zstd -d {packed}`"
                    )
                target.write(part)
    except (zstd.ZstdError, EOFError) as error:
        return f"its compressed data ends early ({error})"
    return ""
