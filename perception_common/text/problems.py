"""How parts of an input that were left out are counted and named, the same for every reader."""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN = 3  # problems that are quoted; their number is always given


def shortened(problems: Sequence[str]) -> str:
    """Join the first problems, and say how many follow."""
    rest = len(problems) - _SHOWN
    return "; ".join(problems[:_SHOWN]) + (f"; and {rest} more" if rest > 0 else "")
