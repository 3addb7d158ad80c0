"""The difference between two detectors on the same images, as plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PairedDifference:
    """The AP50 of a detector minus that of the `reference`.

    low, high: 95 % interval. not_worse: share of the draws in which it is at least that of the reference.
    """

    reference: str
    ap50: float
    low: float
    high: float
    not_worse: float
