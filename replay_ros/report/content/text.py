"""Text of the report: tiles, problems, frames to check and tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["good", "doubtful", "bad", "plain"]


@dataclass(frozen=True)
class Tile:
    """A key figure at the top of the page. value: with its unit. detail: how it is composed."""

    label: str
    value: str
    detail: str = ""
    verdict: Verdict = "plain"


@dataclass(frozen=True)
class ReportedProblem:
    """One problem of the replay. frame: index of a frame that shows it."""

    text: str
    verdict: Verdict = "doubtful"
    frame: int | None = None


@dataclass(frozen=True)
class FrameToCheck:
    """A frame to inspect first. reasons: the most important one first."""

    frame: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows of text under a heading. note: a remark below the table."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
