"""The file metadata.yaml of a bag: what it says about the storage files. The files themselves decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from perception_common.errors import InputError
from replay_ros.bags.storage.piece import DamagedError

NAME = "metadata.yaml"
MAX_BYTES = 20 * 2**20  # 50,000 topics


@dataclass(frozen=True)
class Metadata:
    """What metadata.yaml says; nothing of it is checked.

    files: names of the storage files. count, span_s: of all messages. topics: count and type by name. file_counts:
    messages by name of the file. None and missing entries: it does not say.
    """

    files: tuple[str, ...]
    count: int | None
    span_s: float | None
    topics: Mapping[str, tuple[int, str]]
    file_counts: Mapping[str, int]


def read_metadata(folder: Path) -> Metadata:
    """Read the metadata of a bag.

    Raises OSError, DamagedError when the file is empty or broken, and InputError when it names a file outside of the
    folder.
    """
    path = folder / NAME
    if path.stat().st_size > MAX_BYTES:
        raise DamagedError(f"it has more than {MAX_BYTES} bytes")
    try:
        content = yaml.load(path.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError:
        raise
    except Exception as error:  # the parser also raises ValueError and RecursionError
        raise DamagedError("it is no YAML") from error
    if content is None:
        raise DamagedError("it is empty")
    information = _mapping(_mapping(content).get("rosbag2_bagfile_information"))
    files = information.get("relative_file_paths")
    if not isinstance(files, list) or not files or not all(isinstance(file, str) and file for file in files):
        raise DamagedError("it names no storage files")
    for file in files:
        _refuse_outside(folder, file)
    duration = _whole(_mapping(information.get("duration")).get("nanoseconds"))
    return Metadata(
        files=tuple(dict.fromkeys(files)),
        count=_whole(information.get("message_count")),
        span_s=None if duration is None else duration / 1e9,
        topics=_topics(information.get("topics_with_message_count")),
        file_counts=_file_counts(information.get("files")),
    )


def _refuse_outside(folder: Path, file: str) -> None:
    if Path(file).is_absolute() or ".." in Path(file).parts or "\0" in file:
        raise InputError(
            f"{folder / NAME} names {file!r}, which is outside of the bag; remove that line, or move {NAME} away"
        )


def _topics(given: Any) -> dict[str, tuple[int, str]]:
    topics = {}
    for each in given if isinstance(given, list) else []:
        about = _mapping(_mapping(each).get("topic_metadata"))
        name, kind, count = about.get("name"), about.get("type"), _whole(_mapping(each).get("message_count"))
        if isinstance(name, str) and isinstance(kind, str) and count is not None:
            topics[name] = (count, kind)
    return topics


def _file_counts(given: Any) -> dict[str, int]:
    counts = {}
    for each in map(_mapping, given if isinstance(given, list) else []):
        count = _whole(each.get("message_count"))
        if isinstance(each.get("path"), str) and count is not None:
            counts[each["path"]] = count
    return counts


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}


def _whole(value: Any) -> int | None:
    """Return a whole number of at most 64 bits; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**64 else None
