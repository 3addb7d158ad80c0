"""JSON files: written atomically, read with errors that name the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perception_common.atomic_file import output_file
from perception_common.errors import InputError


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write plain values atomically.

    Raises InputError when it cannot be written, and ValueError for NaN and infinity, which JSON does not have.
    """
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    with output_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file. Raises InputError when it is missing, unreadable or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON ({error})") from error
