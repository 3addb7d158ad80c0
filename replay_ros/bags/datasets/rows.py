"""Rows of the text files of datasets: cells, numbers and stamps of a line. Errors name the file and the line."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perception_common.errors import InputError
from perception_common.geometry import quaternion_fault
from perception_common.paths import inner_path
from perception_common.stamps import ROS_LIMIT, parse_stamp_ns
from perception_common.text.text_files import read_text, table_rows
from replay_ros.bags.datasets.sequences.images import ImageFolder, folder_by_stamp


@dataclass(frozen=True)
class Row:
    """One line of a file. number: of the line, counted from 1."""

    path: Path
    number: int
    cells: tuple[str, ...]

    def error(self, problem: str) -> InputError:
        """Return an error that names and quotes the line. problem: what follows the quoted line in the message."""
        return InputError(f"{self.path} line {self.number}: {' '.join(self.cells)[:60]!r} {problem}")

    def numbers(self, first: int = 0, last: int | None = None) -> list[float]:
        """Return the cells from `first` to before `last` as finite numbers. Raises InputError."""
        try:
            values = [float(cell) for cell in self.cells[first:last]]
        except ValueError as error:
            raise self.error("is not a row of numbers") from error
        if not all(map(math.isfinite, values)):
            raise self.error("is not a row of finite numbers")
        return values

    def seconds(self) -> int:
        """Return the first cell, a stamp in seconds, exactly in nanoseconds. Raises InputError."""
        return self._stamp(9)

    def nanoseconds(self) -> int:
        """Return the first cell, a stamp in nanoseconds. Raises InputError."""
        return self._stamp(0)

    def _stamp(self, digits: int) -> int:
        try:
            stamp = parse_stamp_ns(self.cells[0], digits=digits)
        except InputError as error:
            raise self.error(f"does not begin with a stamp ({error})") from error
        if not 0 <= stamp < ROS_LIMIT:
            raise self.error("does not begin with a stamp from 0 to 2**31 s, the range of ROS")
        return stamp


def read_rows(path: Path, what: str, columns: str) -> list[Row]:
    """Return the rows of a text file, split as by `table_rows`; empty lines and # comments are skipped.

    what: the kind of file, for error messages. columns: their names, separated by blanks; further cells are kept.
    Raises InputError for a file that cannot be read, a row with fewer cells than columns, and a file without rows.
    """
    count = len(columns.split())
    rows = []
    for number, cells in table_rows(read_text(path, what)):
        row = Row(path, number, tuple(cells))
        if len(row.cells) < count:
            raise row.error(f"is not a row of {columns}")
        rows.append(row)
    if not rows:
        raise InputError(f"{what} {path} holds no rows; expected {columns}")
    return rows


def read_rows_by_stamp(path: Path, what: str, columns: str) -> tuple[list[int], list[Row]]:
    """Return the stamps, nanoseconds as they are in the file, and the rows, both in the order of the stamps.

    Raises InputError as `read_rows`, and for a stamp that occurs twice.
    """
    rows = read_rows(path, what, columns)
    stamped = sorted(((row.nanoseconds(), row) for row in rows), key=lambda each: each[0])
    for (stamp, before), (following, after) in itertools.pairwise(stamped):
        if stamp == following:
            raise after.error(f"has the same stamp as line {before.number}; remove one of them")
    return [stamp for stamp, _ in stamped], [row for _, row in stamped]


def read_image_list(path: Path, what: str, folder: Path, *, in_seconds: bool) -> ImageFolder:
    """Read a list of stamps and image files (relative to `folder`), sorted by the stamps.

    in_seconds: stamps are seconds with a fraction; else whole nanoseconds. Raises InputError, also for two files with
    one stamp.
    """
    stamped = [
        (row.seconds() if in_seconds else row.nanoseconds(), _listed_file(row, folder))
        for row in read_rows(path, what, "stamp file")
    ]
    return folder_by_stamp(stamped, path, timing=f"times from {path.name}")


def _listed_file(row: Row, folder: Path) -> Path:
    try:
        return inner_path(folder, row.cells[1])
    except InputError as error:
        raise row.error(f"names no image: {error}") from error


def unit_quaternion(row: Row, xyzw: Sequence[float]) -> np.ndarray:
    """Return a quaternion of the row as (4,) float64 of length 1. Raises InputError when its length is off by 1 %."""
    q = np.array(xyzw)
    if fault := quaternion_fault(q):
        raise row.error(f"is no pose: it {fault}")
    return q / np.linalg.norm(q)
