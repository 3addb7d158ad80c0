"""What a protocol finds, and how it is printed beside what was published."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from perception_common.text.markdown import markdown_table
from replay_ros.protocols.published import Published


@dataclass(frozen=True)
class PairOutcome:
    """One pair. error: in the protocol's unit, None for a failure. signed_error: see `posed_pairs`."""

    name: str
    matches: int
    inliers: int
    error: float | None
    signed_error: float | None = None


@dataclass(frozen=True)
class ProtocolResult:
    """One run of a protocol: with which images, matcher, estimator and threshold (pixels), and what came out.

    values: the protocol's figures, percent. notes: further figures, in words.
    """

    setting: str
    matcher: str
    weights_sha256: str
    estimator: str
    threshold: float
    values: dict[str, float]
    pairs: tuple[PairOutcome, ...]
    notes: tuple[str, ...] = ()


def as_mapping(outcome: ProtocolResult) -> dict[str, Any]:
    """Return what the JSON holds: the figures and conditions, then every pair."""
    content = asdict(outcome)
    details = content.pop("pairs")
    return {**content, "pairs": len(details), "failures": _failures(outcome), "details": details}


def render(outcomes: Sequence[ProtocolResult], published: Sequence[Published], expected: int) -> Iterator[str]:
    """Lay out outcomes and published figures in one table; `expected`: pairs that the whole protocol has."""
    columns = list(outcomes[0].values)
    rows: list[tuple[str, ...]] = [("method", "images", "estimator", *columns, "pairs", "failed", "matches")]
    for each in outcomes:
        matches = f"{np.mean([pair.matches for pair in each.pairs]):.0f}"
        figures = (f"{value:.2f}" for value in each.values.values())
        counts = (str(len(each.pairs)), str(_failures(each)), matches)
        rows.append((each.matcher, each.setting, each.estimator, *figures, *counts))
    for one in published:
        figures = (f"{value:g}" for value in one.values)
        rows.append((one.method, "published", one.source, *figures, "", "", ""))
    yield from markdown_table(rows)
    notes = [f"{each.matcher}, {each.setting}, {each.estimator}: {note}" for each in outcomes for note in each.notes]
    most = max(len(each.pairs) for each in outcomes)
    if most != expected:
        notes.append(
            f"these are {most} pairs, the protocol has {expected}: the figures do not compare with published ones"
        )
    if notes:
        yield ""
        yield from (f"- {note}" for note in notes)


def _failures(outcome: ProtocolResult) -> int:
    return sum(pair.error is None for pair in outcome.pairs)
