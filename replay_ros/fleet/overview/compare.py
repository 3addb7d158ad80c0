"""Compares two fleets: each metric over the bags that both have, and which bags got better or worse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from perception_common.text.markdown import markdown_table
from replay_ros.fleet.record import Record
from replay_ros.report.summary.numbers import significant
from replay_ros.result.compare import Change, ChangeVerdict, compare_metrics

_NAMED = 5  # bags in a line


@dataclass(frozen=True)
class FleetChange:
    """A metric in two fleets. changes: of each bag that has it in both, by name. verdict: of the medians."""

    name: str
    unit: str
    changes: Mapping[str, Change]
    a: float
    b: float
    verdict: ChangeVerdict

    def count(self, verdict: ChangeVerdict) -> int:
        """Return the number of bags with a verdict."""
        return sum(change.verdict == verdict for change in self.changes.values())


@dataclass(frozen=True)
class FleetComparison:
    """Two fleets side by side. Bags are matched by name.

    metrics: of the bags in both. only_a, only_b: bags of one fleet. broken, repaired: bags that failed in b only, and
    in a only. other_inputs: bags of the same name whose contents differ.
    """

    metrics: tuple[FleetChange, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    broken: tuple[str, ...]
    repaired: tuple[str, ...]
    other_inputs: tuple[str, ...]

    @property
    def is_worse(self) -> bool:
        """Whether a metric got worse over all bags, or a bag fails now."""
        return bool(self.broken) or any(metric.verdict == "worse" for metric in self.metrics)


def compare_fleets(a: Sequence[Record], b: Sequence[Record], tolerance: float) -> FleetComparison:
    """Compare the records of two fleets. tolerance: relative change up to which a value counts as the same."""
    one, other = ({record.name: record for record in records} for records in (a, b))
    both = [name for name in one if name in other]
    changes: dict[str, dict[str, Change]] = {}
    for name in both:
        for change in compare_metrics(one[name].metrics, other[name].metrics, tolerance):
            if change.a is not None and change.b is not None:
                changes.setdefault(change.name, {})[name] = change
    failing = {name: (one[name].status == "failed", other[name].status == "failed") for name in both}
    hashes = {name: {one[name].inputs_sha256, other[name].inputs_sha256} - {""} for name in both}
    return FleetComparison(
        metrics=tuple(_over_bags(name, found, one, tolerance) for name, found in changes.items()),
        only_a=tuple(name for name in one if name not in other),
        only_b=tuple(name for name in other if name not in one),
        broken=tuple(name for name, (before, after) in failing.items() if after and not before),
        repaired=tuple(name for name, (before, after) in failing.items() if before and not after),
        other_inputs=tuple(name for name, found in hashes.items() if len(found) > 1),
    )


def _over_bags(name: str, changes: Mapping[str, Change], a: Mapping[str, Record], tolerance: float) -> FleetChange:
    """Compare the medians over the bags as if they were values of one bag. a: records of the first fleet."""
    kind = next(metric for bag in changes for metric in a[bag].metrics if metric.name == name)
    before, after = (
        replace(kind, value=float(np.median(values)))
        for values in (
            [change.a or 0.0 for change in changes.values()],
            [change.b or 0.0 for change in changes.values()],
        )
    )
    (change,) = compare_metrics([before], [after], tolerance)
    return FleetChange(name, kind.unit, changes, before.value, after.value, change.verdict)


def fleet_lines(comparison: FleetComparison) -> Iterator[str]:
    """Yield the comparison as text: remarks, a Markdown table, and for each metric that got worse its worst bags."""
    for names, text in (
        (comparison.broken, "failed in b only"),
        (comparison.repaired, "failed in a only"),
        (comparison.only_a, "only in a"),
        (comparison.only_b, "only in b"),
        (comparison.other_inputs, "of the same name have other contents: they are not comparable"),
    ):
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            yield f"{len(names)} bags {text}: {', '.join(names[:_NAMED])}{more}"
    if not comparison.metrics:
        yield "no metric is in both fleets"
        return
    yield ""
    head = ("metric, median over the bags", "bags", "a", "b", "", "better", "worse", "same")
    yield from markdown_table([head, *map(_row, comparison.metrics)])
    yield ""
    for metric in comparison.metrics:
        worse = [(bag, change) for bag, change in metric.changes.items() if change.verdict == "worse"]
        if worse:
            worse.sort(key=lambda pair: -abs((pair[1].b or 0.0) - (pair[1].a or 0.0)))
            named = ", ".join(f"{bag} ({significant(c.a)} to {significant(c.b)})" for bag, c in worse[:_NAMED])
            yield f"{metric.name} is worse in {named}"


def _row(metric: FleetChange) -> tuple[str, ...]:
    values = (f"{significant(value)} {metric.unit}".rstrip() for value in (metric.a, metric.b))
    counts = map(str, (metric.count("better"), metric.count("worse"), metric.count("same")))
    return (metric.name, str(len(metric.changes)), *values, metric.verdict, *counts)
