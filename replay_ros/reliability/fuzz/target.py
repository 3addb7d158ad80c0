"""A reader that is fuzzed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Target:
    """Something that reads input from outside.

    name: in the report. seeds: valid inputs, from which all others are made. read: gets an input and an empty folder
    for files; returns or raises InputError. cost: about how many times longer than a small text it takes.
    """

    name: str
    seeds: Callable[[], Sequence[bytes]]
    read: Callable[[bytes, Path], object]
    cost: int = 1


def from_file(read: Callable[[Path], object], name: str = "input.json") -> Callable[[bytes, Path], object]:
    """Return a target's `read` that writes the input to a file first."""

    def write_and_read(data: bytes, folder: Path) -> object:
        path = folder / name
        path.write_bytes(data)
        return read(path)

    return write_and_read
