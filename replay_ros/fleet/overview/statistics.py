"""Figures of a fleet over all bags: how each metric is distributed, and what failed for which cause."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from replay_ros.fleet.record import Record
from replay_ros.result.compare import Metric, distance_from_best

_NUMBER = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True)
class Distribution:
    """A metric over all bags that have it. metrics: best first, with the record of each."""

    name: str
    unit: str
    metrics: tuple[tuple[Record, Metric], ...]

    @property
    def values(self) -> np.ndarray:
        """The values (N,) float64, best first."""
        return np.array([metric.value for _, metric in self.metrics])

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """The lower quartile, the median and the upper quartile."""
        low, middle, high = np.percentile(self.values, (25, 50, 75)).tolist()
        return low, middle, high


def distributions(records: Sequence[Record]) -> list[Distribution]:
    """Return the distribution of each metric, in the order of the metrics."""
    found: dict[str, list[tuple[Record, Metric]]] = {}
    for record in records:
        for metric in record.metrics:
            found.setdefault(metric.name, []).append((record, metric))
    return [
        Distribution(name, pairs[0][1].unit, tuple(sorted(pairs, key=lambda pair: distance_from_best(pair[1]))))
        for name, pairs in found.items()
    ]


def causes(records: Sequence[Record]) -> list[tuple[str, list[Record]]]:
    """Return the causes of records that are not done; numbers do not make two of one.

    Failures come first, the most frequent cause before the others.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.status != "done":
            own = rf"{re.escape(record.source)}|(?<!\w){re.escape(record.name)}(?!\w)"
            groups.setdefault(_NUMBER.sub("#", re.sub(own, "", record.cause)), []).append(record)
    ordered = sorted(groups.values(), key=lambda group: (group[0].status != "failed", -len(group)))
    return [(group[0].cause, group) for group in ordered]


def summary_lines(records: Sequence[Record]) -> Iterator[str]:
    """Yield the outcome in lines of text."""
    counts = {status: sum(record.status == status for record in records) for status in ("done", "incomplete", "failed")}
    yield ", ".join(f"{count} {status}" for status, count in counts.items())
    if frames := sum(record.frames for record in records):
        seconds, cpu = (sum(getattr(record, name) for record in records) for name in ("seconds", "cpu_seconds"))
        each = f"{seconds / frames:.3f} s and {cpu / frames:.3f} CPU s"
        yield f"{frames} images in {seconds:.1f} s of workers: {each} for each"
