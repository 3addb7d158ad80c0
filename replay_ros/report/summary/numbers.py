"""Numbers as table cells."""

from __future__ import annotations


def significant(value: float | None) -> str:
    """Return a number with three significant digits; a dash for None."""
    return "-" if value is None else f"{value:.3g}"
