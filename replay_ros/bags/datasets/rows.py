"""Rows of the text files of datasets: cells of a line, numbers and stamps, with errors that name file and line."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from perception_common.errors import InputError
from perception_common.text.stamped_table import read_text
from replay_ros.bags.datasets.sequences import ImageFolder

_LARGEST_STAMP = 2**31 * 10**9  # builtin_interfaces/Time has 32 bits of seconds


@dataclass(frozen=True)
class Row:
    """One line of a file. number: of the line, from 1."""

    path: Path
    number: int
    cells: tuple[str, ...]

    def error(self, expected: str) -> InputError:
        """Return the error that says what this line should be."""
        return InputError(f"{self.path} line {self.number}: {' '.join(self.cells)[:60]!r} is no {expected}")

    def numbers(self, first: int = 0, last: int | None = None) -> list[float]:
        """Return cells as finite numbers. Raises InputError."""
        try:
            values = [float(cell) for cell in self.cells[first:last]]
        except ValueError as error:
            raise self.error("row of numbers") from error
        if not all(map(math.isfinite, values)):
            raise self.error("row of finite numbers")
        return values

    def seconds(self) -> int:
        """Return the first cell, seconds, exactly in nanoseconds. Raises InputError."""
        return self._stamp(9)

    def nanoseconds(self) -> int:
        """Return the first cell, nanoseconds. Raises InputError."""
        return self._stamp(0)

    def _stamp(self, exponent: int) -> int:
        try:
            stamp = Decimal(self.cells[0]).scaleb(exponent)
            in_range = 0 <= stamp < _LARGEST_STAMP
        except InvalidOperation as error:
            raise self.error("row that begins with a stamp") from error
        if not in_range:
            raise self.error("row that begins with a stamp that ROS can hold")
        return int(stamp.to_integral_value())


def read_rows(path: Path, what: str, columns: str, separator: str = r"[,\s]+") -> list[Row]:
    """Return the rows of a text file; empty lines and # comments are skipped.

    columns: their names with blanks between; a row with fewer is refused, further cells are kept. separator: a regular
    expression. Raises InputError for a file that cannot be read, a row that is too short, and when there is none.
    """
    count = len(columns.split())
    rows = []
    for number, line in enumerate(read_text(path, what).splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        row = Row(path, number, tuple(cell for cell in re.split(separator, line.strip()) if cell))
        if len(row.cells) < count:
            raise row.error(f"row of {columns}")
        rows.append(row)
    if not rows:
        raise InputError(f"{what} {path} holds no rows; expected {columns}")
    return rows


def stamped_files(path: Path, what: str, folder: Path, in_seconds: bool) -> ImageFolder:
    """Read a list of stamps and files (relative to `folder`), in the order of the stamps.

    in_seconds: with a fraction; else whole nanoseconds. Raises InputError, also for two files with one stamp.
    """
    found = []
    for row in read_rows(path, what, "stamp file"):
        found.append((row.seconds() if in_seconds else row.nanoseconds(), folder / row.cells[1]))
    found.sort()
    for (stamp, file), (following, other) in itertools.pairwise(found):
        if stamp == following:
            raise InputError(f"{path}: {file.name} and {other.name} have the same stamp; remove one of them")
    return ImageFolder(tuple(file for _, file in found), tuple(stamp for stamp, _ in found), path.name)


def unit_quaternion(row: Row, xyzw: Sequence[float]) -> np.ndarray:
    """Return (4,) float64 of length 1. Raises InputError for one whose length is more than 1 % off."""
    length = float(np.linalg.norm(xyzw))
    if abs(length - 1.0) > 0.01:
        raise row.error(f"pose: its quaternion has length {length:.3f}, not 1")
    return np.array(xyzw) / length


def ascending(rows: Sequence[Row], stamps: Sequence[int]) -> Iterator[int]:
    """Return the order that sorts rows by their stamps. Raises InputError for a stamp that comes twice."""
    order = sorted(range(len(stamps)), key=lambda index: stamps[index])
    for before, after in itertools.pairwise(order):
        if stamps[before] == stamps[after]:
            raise rows[after].error(f"row of its own: line {rows[before].number} has the same stamp")
    return iter(order)
