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
