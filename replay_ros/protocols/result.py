"""Results of a protocol as JSON and as a table beside the published figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from perception_common.errors import InputError
from perception_common.text.markdown import markdown_table
from perception_common.text.problems import shortened
from replay_ros.protocols.published import PublishedRow


@dataclass(frozen=True)
class PairOutcome:
    """Result of one pair. error: in the protocol's unit, None for a failure. signed_error: see `posed_pairs`."""

    name: str
    matches: int
    inliers: int
    error: float | None
    signed_error: float | None = None


@dataclass(frozen=True)
class ProtocolResult:
    """One run of a protocol, with its conditions.

    setting: size and selection of the images. estimator: with its threshold. threshold: pixels. values: the protocol's
    figures, percent. notes: further figures.
    """

    setting: str
    matcher: str
    weights_sha256: str
    estimator: str
    threshold: float
    values: dict[str, float]
    pairs: tuple[PairOutcome, ...]
    notes: tuple[str, ...] = ()


def left_out_note(problems: Sequence[str], pairs: int) -> tuple[str, ...]:
    """Return a note on the pairs that cannot be used, if any. Raises InputError when all `pairs` are among them."""
    if problems and len(problems) == pairs:
        raise InputError(f"none of {pairs} pairs can be used; {problems[0]}")
    return (f"{len(problems)} pairs left out ({shortened(problems)})",) if problems else ()


def protocol_result_to_mapping(result: ProtocolResult) -> dict[str, Any]:
    """Return the JSON content of a result: figures and conditions, then every pair."""
    content = asdict(result)
    details = content.pop("pairs")
    return {**content, "pairs": len(details), "failures": _failures(result), "details": details}


def protocol_lines(
    results: Sequence[ProtocolResult], published: Sequence[PublishedRow], expected: int
) -> Iterator[str]:
    """Yield the lines of a table of results and published figures, and notes; expected: pairs of the whole protocol."""
    columns = list(results[0].values)
    rows: list[tuple[str, ...]] = [("method", "images", "estimator", *columns, "pairs", "failed", "matches")]
    for each in results:
        matches = f"{np.mean([pair.matches for pair in each.pairs]):.0f}"
        figures = (f"{value:.2f}" for value in each.values.values())
        counts = (str(len(each.pairs)), str(_failures(each)), matches)
        rows.append((each.matcher, each.setting, each.estimator, *figures, *counts))
    for row in published:
        figures = (f"{value:g}" for value in row.values)
        rows.append((row.method, "published", row.source, *figures, "", "", ""))
    yield from markdown_table(rows)
    notes = [f"{each.matcher}, {each.setting}, {each.estimator}: {note}" for each in results for note in each.notes]
    count = max(len(each.pairs) for each in results)
    if count != expected:
        notes.append(
            f"these are {count} pairs, the protocol has {expected}: the figures do not compare with published ones"
        )
    if notes:
        yield ""
        yield from (f"- {note}" for note in notes)


def _failures(result: ProtocolResult) -> int:
    return sum(pair.error is None for pair in result.pairs)
