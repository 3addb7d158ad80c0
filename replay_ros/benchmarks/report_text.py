"""Benchmark reports as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perception_common.text.markdown import markdown_table
from replay_ros.benchmarks.machine import Machine
from replay_ros.benchmarks.measurement import Check, FigurePoint, Measurement, SubjectReport

_VERDICTS = {
    ("equality", True): "equal",
    ("equality", False): "NOT EQUAL",
    ("aim", True): "reached",
    ("aim", False): "missed",
}


def report_lines(machine: Machine, reports: Sequence[SubjectReport]) -> Iterator[str]:
    """Yield the machine, and for each subject its conditions, table, checks and notes."""
    yield f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib} GiB; {machine.threads} threads of torch"
    yield f"Python {machine.python}, torch {machine.torch}, kornia {machine.kornia}"
    yield f"OMP_WAIT_POLICY {machine.wait_policy}, load average at the start {machine.load_average}"
    if machine.gpu:
        yield machine.gpu
    for report in reports:
        yield ""
        yield f"## {report.subject}"
        yield report.conditions
        if report.rows:
            rows = [("", "median", "", "quartiles", "minimum", "runs"), *map(_table_row, report.rows)]
            yield ""
            yield from markdown_table(rows)
        if report.figure is not None:
            yield from ("", f"x: {report.figure.x}; y: {report.figure.y}", "")
            yield from markdown_table([("series", "point", "x", "y"), *map(_point_row, report.figure.points)])
        if report.checks:
            yield ""
        yield from (f"- {_check_sentence(check)}" for check in report.checks)
        yield from (f"- {note}" for note in report.notes)


def _table_row(row: Measurement) -> tuple[str, ...]:
    quartiles = f"{_three_digits(row.lower_quartile)} to {_three_digits(row.upper_quartile)}"
    return row.name, _three_digits(row.median), row.unit, quartiles, _three_digits(row.minimum), str(row.runs)


def _point_row(point: FigurePoint) -> tuple[str, ...]:
    return point.series, point.name, _three_digits(point.x), _three_digits(point.y)


def _check_sentence(check: Check) -> str:
    unit = f" {check.unit}" if check.unit else ""
    limit = f"at most {_three_digits(check.limit)}{unit}"
    return f"{check.name}: {_three_digits(check.value)}{unit}, {limit}: {_VERDICTS[check.kind, check.holds]}"


def _three_digits(value: float) -> str:
    """Return a number with three significant digits; from 100 on, rounded to an integer."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
