"""What a reliability run found: figures by name, and the limits that they must keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from perception_common.text.json_files import write_json


@dataclass(frozen=True)
class Limit:
    """A value that must not exceed its limit."""

    name: str
    value: float
    limit: float
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether the value is within the limit; False for NaN."""
        return self.value <= self.limit


@dataclass(frozen=True)
class ReliabilityReport:
    """Results of one run. conditions: one sentence on what was run. failures: what went wrong, in words."""

    subject: str
    conditions: str
    figures: Mapping[str, float | int | str]
    limits: Sequence[Limit] = ()
    failures: Sequence[str] = field(default=())

    @property
    def holds(self) -> bool:
        """Whether nothing failed and all limits are kept."""
        return not self.failures and all(limit.holds for limit in self.limits)

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        width = max(map(len, [*self.figures, *(limit.name for limit in self.limits), ""]))
        rows = [f"{self.subject}: {self.conditions}"]
        rows += [f"  {name:{width}}  {_text(value)}" for name, value in self.figures.items()]
        for limit in self.limits:
            verdict = "holds" if limit.holds else "DOES NOT HOLD"
            rows.append(f"  {limit.name:{width}}  {_text(limit.value)} {limit.unit} (limit {limit.limit:g}): {verdict}")
        return rows + [f"  FAILED: {failure}" for failure in self.failures]


def write_report(path: Path, report: ReliabilityReport) -> None:
    """Write a report as JSON. Raises InputError when the file cannot be written."""
    limits = [asdict(limit) | {"holds": limit.holds} for limit in report.limits]
    write_json(path, asdict(report) | {"figures": dict(report.figures), "limits": limits, "holds": report.holds})


def _text(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
