"""Text tables whose first column is a stamp in seconds, read without rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from perception_common.errors import InputError
from perception_common.stamps import parse_stamp_ns
from perception_common.text.text_files import read_text, table_rows


def read_stamped_table(path: Path, what: str, columns: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (stamps (N,) int64 nanoseconds, ascending; values (N, K) float64) of a table with at least one row.

    columns: their names separated by blanks, the stamp first. Cells are separated by blanks, commas or semicolons;
    empty lines, # comments and a heading are skipped. A heading is a first row without any number. Raises InputError
    that names the file and the line.
    """
    is_first = True
    stamps: list[int] = []
    values: list[list[float]] = []
    count = len(columns.split())
    for number, cells in table_rows(read_text(path, what)):
        is_heading, is_first = is_first and not any(map(_is_number, cells)), False
        if is_heading:
            continue
        where = f"{path} line {number}"
        try:
            stamp, row = parse_stamp_ns(cells[0]), [float(cell) for cell in cells[1:]]
        except InputError as error:
            raise InputError(f"{where}: {error}; expected {columns}") from error
        except ValueError as error:
            raise InputError(f"{where}: {' '.join(cells)[:60]!r} is not a row of numbers ({columns})") from error
        if len(cells) != count or not np.isfinite(row).all():
            raise InputError(f"{where}: expected {count} finite numbers ({columns}), got {len(cells)} cells")
        stamps.append(stamp)
        values.append(row)
    if not stamps:
        raise InputError(f"{path} holds no rows; expected {columns}")
    order = np.argsort(stamps, kind="stable")
    sorted_stamps = np.array(stamps, np.int64)[order]
    for repeated in sorted_stamps[1:][np.diff(sorted_stamps) == 0]:
        raise InputError(f"{path} has two rows for the stamp {repeated / 1e9:.6f} s; remove one of them")
    return sorted_stamps, np.array(values, np.float64)[order]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
