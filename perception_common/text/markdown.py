"""Markdown tables that are readable as plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def markdown_table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table with padded columns; the first row is the heading, the first column left-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        cells[0] = row[0].ljust(widths[0])
        yield f"| {' | '.join(cells)} |"
        if number == 0:
            yield "|" + "|".join(["-" * (widths[0] + 2)] + ["-" * (width + 1) + ":" for width in widths[1:]]) + "|"


def number_cell(value: float | None, digits: int) -> str:
    """Return a number as a table cell; a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"
