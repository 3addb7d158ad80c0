"""Text from outside, opened in one way: UTF-8 with or without a byte order mark, any line ends, a bounded size."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from perception_common.errors import InputError

MAX_BYTES = 2**30  # the largest label file in use, COCO's instances_train2017.json, has 0.44 GiB
_PIECE = 2**20  # bytes read at a time
_OTHER_ENCODINGS = {  # the first four bytes tell UTF-32 from UTF-16
    "UTF-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    "UTF-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}


def read_text(path: Path, what: str = "", limit: int = MAX_BYTES) -> str:
    """Return the text of a UTF-8 file without its byte order mark, with every line end as a newline.

    what: the kind of file, for messages. limit: largest size, bytes. Raises InputError for a file that is missing, is
    no regular file, is larger, or has another encoding.
    """
    name = f"{what} {path}".strip()
    try:
        is_other = path.exists() and not path.is_file()  # a folder, or a device or pipe, which may have no end
        data = bytearray() if is_other else _read_bytes(path, limit + 1)
    except FileNotFoundError as error:
        missing = f"{name} does not exist" if what else f"{name}: cannot be read ({error.strerror}); check the path"
        raise InputError(missing) from error
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:  # a NUL or a lone surrogate in the path
        raise InputError(f"{what} {str(path)!r}: is not the name of a file".strip()) from error
    if is_other:
        raise InputError(f"{name}: cannot be read (it is not a file); check the path")
    if len(data) > limit:
        raise InputError(f"{name}: is larger than {limit / 2**20:g} MiB, too large for such a file; check the path")
    try:
        return decode_text(data)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _read_bytes(path: Path, most: int) -> bytearray:
    data = bytearray()
    with path.open("rb") as file:  # in pieces, as one call would reserve the memory for `most` bytes
        while piece := file.read(min(_PIECE, most - len(data))):
            data += piece
    return data


def decode_text(data: bytes | bytearray) -> str:
    """Return the text of bytes, as `read_text`. Raises InputError that does not name a file."""
    for encoding, marks in _OTHER_ENCODINGS.items():
        if data.startswith(marks):
            raise InputError(f"is not a text file in UTF-8: it is encoded in {encoding}; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"is not a text file in UTF-8 (at byte {error.start}); save it as UTF-8") from error
    if "\0" in text:
        raise InputError("is not a text file in UTF-8: it holds NUL bytes")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def table_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line, from 1, and its cells; empty lines and # comments are skipped.

    Cells are separated by one comma or semicolon, with or without blanks and tabs, or by blanks alone. Separators at
    the end of a line are ignored; elsewhere a cell may be empty, so that no value moves to another column.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip()
        if line and not line.startswith("#"):
            yield number, re.split(r"\s*[,;]\s*|\s+", line.rstrip(",; \t"))
