"""Compares the results of two replays: which metrics improved, which got worse."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from perception_common.errors import InputError
from perception_common.text.markdown import markdown_table
from replay_ros.evaluation.detection.results import DetectionResult
from replay_ros.result.answers import refused_images
from replay_ros.result.replay_result import ReplayResult, latencies, node_latencies

DEFAULT_TOLERANCE = 0.02  # relative change, empirical
ChangeVerdict = Literal["better", "worse", "same", "only in a", "only in b"]
_TABLE_ORDER = {"worse": 0, "better": 1, "same": 2, "only in a": 3, "only in b": 3}


@dataclass(frozen=True)
class Metric:
    """One value of a result. best: "high", "low", or the ideal value (1 for the NEES per degree of freedom)."""

    name: str
    unit: str
    value: float
    best: Literal["high", "low"] | float


@dataclass(frozen=True)
class Change:
    """A metric of two results a and b; its value is None in a result that does not have it."""

    name: str
    unit: str
    a: float | None
    b: float | None
    verdict: ChangeVerdict


def compare(a: ReplayResult, b: ReplayResult, tolerance: float = DEFAULT_TOLERANCE) -> tuple[Change, ...]:
    """Compare all metrics of two results. tolerance: relative change up to which a metric counts as the same."""
    return compare_metrics(tuple(result_metrics(a)), tuple(result_metrics(b)), tolerance)


def compare_metrics(a: Iterable[Metric], b: Iterable[Metric], tolerance: float) -> tuple[Change, ...]:
    """Compare metrics by their names. tolerance: relative change up to which a metric counts as the same."""
    metrics_a, metrics_b = ({metric.name: metric for metric in metrics} for metrics in (a, b))
    changes = []
    for name in dict.fromkeys((*metrics_a, *metrics_b)):
        one, other = metrics_a.get(name), metrics_b.get(name)
        if one is not None and other is not None:
            changes.append(Change(name, one.unit, one.value, other.value, _verdict(one, other, tolerance)))
        elif one is not None:
            changes.append(Change(name, one.unit, one.value, None, "only in a"))
        elif other is not None:
            changes.append(Change(name, other.unit, None, other.value, "only in b"))
    return tuple(changes)


def result_metrics(result: ReplayResult) -> Iterator[Metric]:
    """Yield the metrics of a result: accuracy first, then latencies, losses and memory. Raises InputError."""
    if result.detection is not None:
        yield from detection_metrics(result.detection)
    yield from _motion_of_file(result.motion or {})
    for stage, times in latencies(result.timing).items():
        yield from _latency_metrics(stage, times)
    for node, stages in node_latencies(result).items():
        for stage, times in stages.items():
            yield from _latency_metrics(f"{node.lstrip('/')} {stage}", times)
    if (peak := result.timing.peak) is not None and peak.rate_hz is not None:
        yield Metric(f"peak rate at {100 * peak.max_loss:g} % loss", "1/s", peak.rate_hz, "high")
    for answers in result.answers:
        yield Metric(f"{answers.node} loss", "", answers.loss, "low")
    refused = sum(len(refusal.images) for refusal in refused_images(result.answers))
    yield Metric("images refused", "", float(refused), "low")
    if (use := result.timing.resources) is not None:
        if use.memory_mib:
            yield Metric("peak memory", "MiB", max(use.memory_mib), "low")
        if use.gpu_memory_mib:
            yield Metric("peak GPU memory", "MiB", max(use.gpu_memory_mib), "low")


def _latency_metrics(stage: str, times: Mapping[str, float | None]) -> Iterator[Metric]:
    for key, ms in times.items():
        if ms is not None:
            yield Metric(f"{stage} {key.removesuffix('_ms')}", "ms", ms, "low")


def detection_metrics(detection: DetectionResult) -> Iterator[Metric]:
    """Yield the average precisions of an evaluation of detections."""
    for name in ("ap", "ap50", "ap75"):
        if (value := getattr(detection.scores, name)) is not None:
            yield Metric(f"detection {name.upper()} ({detection.protocol})", "", value, "high")


def motion_metrics(motion: Mapping[str, Any]) -> Iterator[Metric]:
    """Yield the metrics of a `MotionResult` as a mapping."""
    if poses := motion.get("poses"):
        for limit, value in poses["auc"].items():
            yield Metric(f"pose AUC@{limit} ({poses['estimator']})", "", value, "high")
        if poses["edges"]:
            yield Metric("poses under 5 degrees", "", poses["success_5deg"] / poses["edges"], "high")
    if calibration := motion.get("calibration"):
        yield Metric("NEES per degree of freedom", "", calibration["nees_per_dof"], 1.0)
    if path := motion.get("trajectory"):
        yield Metric(f"ATE ({path['alignment']})", "m", path["ate_m"]["rmse"], "low")
        yield Metric("RPE", "m", path["rpe_m"]["rmse"], "low")
        if path["drift"] is not None:
            yield Metric("drift", "m/m", path["drift"], "low")
    if tracks := motion.get("tracks"):
        yield Metric("track length", "keyframes", tracks["mean_length"], "high")


def _motion_of_file(motion: Mapping[str, Any]) -> Sequence[Metric]:
    """Return the metrics of a motion of a file, whose figures nothing checked when it was read. Raises InputError."""
    try:
        found = tuple(motion_metrics(motion))
        broken = next((metric.name for metric in found if not isinstance(metric.value, (int, float))), "")
    except (KeyError, TypeError, AttributeError) as error:
        broken = repr(error)
    if broken:
        raise InputError(f"the motion in a result is broken ({broken}); replay the bag again")
    return found


def distance_from_best(metric: Metric) -> float:
    """Return how far a metric is from its best value: a number that is smaller for the better of two metrics."""
    if metric.best == "high":
        return -metric.value
    if metric.best == "low":
        return metric.value
    # On a logarithmic scale: 2 and 1/2 are equally far from 1.
    return abs(math.log(max(metric.value, 1e-9) / float(metric.best)))


def _verdict(a: Metric, b: Metric, tolerance: float) -> ChangeVerdict:
    if abs(b.value - a.value) <= tolerance * max(abs(a.value), abs(b.value)):
        return "same"
    return "better" if distance_from_best(b) < distance_from_best(a) else "worse"


def setup_differences(a: ReplayResult, b: ReplayResult) -> Iterator[str]:
    """Yield a sentence for each difference in input, replay mode, machine, weights, commit and settings."""
    one, other = a.provenance, b.provenance
    if one.input_sha256 != other.input_sha256:
        yield "the inputs differ: changes may come from the flight instead of the software"
    if a.kind != b.kind:
        yield f"a was replayed {a.kind}, b {b.kind}: their durations are not comparable"
    if one.machine != other.machine:
        yield f"the machines differ: {one.machine}; {other.machine}"
    if one.weights != other.weights:
        yield "the weights differ"
    if one.commit != other.commit:
        yield f"the commits differ: {one.commit or 'unknown'}; {other.commit or 'unknown'}"
    for node in sorted({*one.configuration, *other.configuration}):
        before, after = one.configuration.get(node, {}), other.configuration.get(node, {})
        for name in sorted({*before, *after}):
            if before.get(name) != after.get(name):
                yield f"{node}: {name} {before.get(name)!r} became {after.get(name)!r}"


def comparison_lines(changes: Sequence[Change]) -> Iterator[str]:
    """Yield a Markdown table, metrics that got worse first, and a line with the counts."""
    ordered = sorted(changes, key=lambda change: _TABLE_ORDER[change.verdict])
    yield from markdown_table([("metric", "a", "b", "change", ""), *map(_table_row, ordered)])
    yield ""
    counts = {verdict: sum(change.verdict == verdict for change in changes) for verdict in ("better", "worse", "same")}
    yield ", ".join(f"{count} {verdict}" for verdict, count in counts.items())


def _table_row(change: Change) -> tuple[str, ...]:
    ratio = "" if not change.a or change.b is None else f"{100 * (change.b / change.a - 1):+.1f} %"
    return change.name, _value_cell(change.a, change.unit), _value_cell(change.b, change.unit), ratio, change.verdict


def _value_cell(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.4g} {unit}".rstrip()
