"""What a reliability run found: figures by name, and the limits that they must keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from perception_common.text.json_files import write_json
from replay_ros.benchmarks.measurement import Check


def limit(name: str, value: float, most: float, unit: str = "") -> Check:
    """Return the check that a value is at most `most`."""
    return Check(name, "equality", value, most, unit)


@dataclass(frozen=True)
class ReliabilityReport:
    """Results of one run. conditions: one sentence on what was run. failures: what went wrong, in words."""

    subject: str
    conditions: str
    figures: Mapping[str, float | int | str]
    limits: Sequence[Check] = ()
    failures: Sequence[str] = field(default=())

    @property
    def holds(self) -> bool:
        """Whether nothing failed and all limits are kept."""
        return not self.failures and all(each.holds for each in self.limits)

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        width = max(map(len, [*self.figures, *(each.name for each in self.limits), ""]))
        rows = [f"{self.subject}: {self.conditions}"]
        rows += [f"  {name:{width}}  {_text(value)}" for name, value in self.figures.items()]
        for each in self.limits:
            verdict = "holds" if each.holds else "DOES NOT HOLD"
            rows.append(f"  {each.name:{width}}  {_text(each.value)} {each.unit} (limit {each.limit:g}): {verdict}")
        return rows + [f"  FAILED: {failure}" for failure in self.failures]


def write_report(path: Path, report: ReliabilityReport) -> None:
    """Write a report as JSON. Raises InputError when the file cannot be written."""
    limits = [asdict(each) | {"holds": each.holds} for each in report.limits]
    write_json(path, asdict(report) | {"figures": dict(report.figures), "limits": limits, "holds": report.holds})


def _text(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
