"""JSON files: written atomically, read with errors that name the file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perception_common.atomic_file import output_file
from perception_common.errors import InputError
from perception_common.text.text_files import read_text

_EXACT_DIGITS = 18  # integers with more digits, which no reader needs, are read as floats: 10^400 becomes infinity


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write plain values atomically.

    Raises InputError when it cannot be written, and ValueError for NaN and infinity, which JSON does not have.
    """
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    with output_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file, as `parse_json`. Raises InputError that names the file."""
    text = read_text(path)
    try:
        return parse_json(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def parse_json(text: str) -> Any:
    """Return the content of JSON text. Its numbers may be NaN or infinite: a reader checks those that it uses.

    Raises InputError that does not name a file, also for an object with the same key twice: one of both values would be
    lost.
    """
    try:
        return json.loads(text, parse_int=_integer, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not valid JSON ({error})") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise ValueError(f"the key {counts.most_common(1)[0][0]!r} stands twice in one object; remove one of them")
    return found


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _EXACT_DIGITS else float(digits)
