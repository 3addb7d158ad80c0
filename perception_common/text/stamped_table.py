"""Text tables whose first column is a stamp in seconds, read without rounding."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from perception_common.errors import InputError


def read_text(path: Path, what: str) -> str:
    """Return the text of a UTF-8 file. Raises InputError when it cannot be read; `what` names its kind there."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{what} {path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{what} {path} cannot be read as text") from error


def read_stamped_table(path: Path, what: str, columns: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (stamps (N,) int64 nanoseconds, ascending; values (N, K) float64) of a table with at least one row.

    columns: their names separated by blanks, the stamp first. Cells are separated by blanks, commas or semicolons;
    empty lines, # comments and a heading are skipped. Raises InputError that names the file and the line.
    """
    stamps: list[int] = []
    values: list[list[float]] = []
    count = len(columns.split())
    for number, line in enumerate(read_text(path, what).splitlines(), start=1):
        cells = [cell for cell in re.split(r"[,;\s]+", line.strip()) if cell]
        if not cells or cells[0].startswith("#"):
            continue
        try:
            stamp = int(np.int64(int(Decimal(cells[0]).scaleb(9).to_integral_value())))
            row = [float(cell) for cell in cells[1:]]
        except (InvalidOperation, ValueError, OverflowError) as error:
            if number == 1:
                continue  # the heading
            raise InputError(
                f"{path} line {number}: {line.strip()[:60]!r} is not a row of numbers ({columns})"
            ) from error
        if len(cells) != count or not np.isfinite(row).all():
            raise InputError(
                f"{path} line {number}: expected {count} finite numbers ({columns}), got {len(cells)} cells"
            )
        stamps.append(stamp)
        values.append(row)
    if not stamps:
        raise InputError(f"{path} holds no rows; expected {columns}")
    order = np.argsort(stamps, kind="stable")
    sorted_stamps = np.array(stamps, np.int64)[order]
    for repeated in sorted_stamps[1:][np.diff(sorted_stamps) == 0]:
        raise InputError(f"{path} has two rows for the stamp {repeated / 1e9:.6f} s; remove one of them")
    return sorted_stamps, np.array(values, np.float64)[order]
