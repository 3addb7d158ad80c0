"""The command `compare`: what got better and what got worse from one replay to another."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from perception_common.errors import InputError
from replay_ros.result.replay_result import ReplayResult, latencies, node_latencies, read_result

EXAMPLE = """\
examples:
  compare before.json after.json
  compare before.json after.json --tolerance 0.1 --fail-if-worse
"""
Verdict = Literal["better", "worse", "same", "only in a", "only in b"]


@dataclass(frozen=True)
class Figure:
    """One value of a result. best: "high", "low", or the value that is best itself (1 for honest covariances)."""

    name: str
    unit: str
    value: float
    best: Literal["high", "low"] | float


@dataclass(frozen=True)
class Change:
    """A figure in both results; None where one of them does not have it."""

    name: str
    unit: str
    a: float | None
    b: float | None
    verdict: Verdict


def figures(result: ReplayResult) -> Iterator[Figure]:
    """Yield what can be compared: accuracy first, then time, losses and memory."""
    if (detection := result.detection) is not None:
        for name in ("ap", "ap50", "ap75"):
            if (value := getattr(detection.scores, name)) is not None:
                yield Figure(f"detection {name.upper()} ({detection.protocol})", "", value, "high")
    yield from _motion_figures(result.motion or {})
    for stage, times in latencies(result.timing).items():
        yield from (Figure(f"{stage} {key[:3]}", "ms", ms, "low") for key, ms in times.items() if ms is not None)
    for node, stages in node_latencies(result).items():
        for stage, times in stages.items():
            name = f"{node.lstrip('/')} {stage}"
            yield from (Figure(f"{name} {key[:3]}", "ms", ms, "low") for key, ms in times.items() if ms is not None)
    if (peak := result.timing.peak) is not None and peak.rate_hz is not None:
        yield Figure(f"peak rate at {100 * peak.max_loss:g} % loss", "1/s", peak.rate_hz, "high")
    for dropped in result.timing.drops:
        yield Figure(f"{dropped.node} unanswered", "", dropped.share, "low")
    yield Figure("images refused", "", float(sum(result.refused.values())), "low")
    if (use := result.timing.resources) is not None:
        yield Figure("peak memory", "MiB", max(use.memory_mib), "low")
        if use.gpu_memory_mib is not None:
            yield Figure("peak GPU memory", "MiB", max(use.gpu_memory_mib), "low")


def _motion_figures(motion: dict[str, Any]) -> Iterator[Figure]:
    if poses := motion.get("poses"):
        for limit, value in poses["auc"].items():
            yield Figure(f"pose AUC@{limit} ({poses['estimator']})", "", value, "high")
        if poses["edges"]:
            yield Figure("poses under 5 degrees", "", poses["success_5deg"] / poses["edges"], "high")
    if calibration := motion.get("calibration"):
        yield Figure("NEES per degree of freedom", "", calibration["nees_per_dof"], 1.0)
    if path := motion.get("trajectory"):
        yield Figure(f"ATE ({path['alignment']})", "m", path["ate_m"]["rmse"], "low")
        yield Figure("RPE", "m", path["rpe_m"]["rmse"], "low")
        if path["drift"] is not None:
            yield Figure("drift", "m/m", path["drift"], "low")
    if tracks := motion.get("tracks"):
        yield Figure("track length", "keyframes", tracks["mean_length"], "high")


def compare(a: ReplayResult, b: ReplayResult, tolerance: float = 0.02) -> tuple[Change, ...]:
    """Compare all figures of two results; what changed by less than `tolerance`, relatively, is the same."""
    of_a, of_b = ({figure.name: figure for figure in figures(result)} for result in (a, b))
    changes = []
    for name in (*of_a, *(name for name in of_b if name not in of_a)):
        one, other = of_a.get(name), of_b.get(name)
        known = one or other
        assert known is not None
        verdict: Verdict = "only in b" if one is None else "only in a"
        if one is not None and other is not None:
            verdict = _judge(one, other, tolerance)
        changes.append(
            Change(
                name, known.unit, None if one is None else one.value, None if other is None else other.value, verdict
            )
        )
    return tuple(changes)


def _judge(a: Figure, b: Figure, tolerance: float) -> Verdict:
    if abs(b.value - a.value) <= tolerance * max(abs(a.value), abs(b.value)):
        return "same"
    if a.best in ("high", "low"):
        return "better" if (b.value > a.value) == (a.best == "high") else "worse"
    # 2 and 1/2 are equally far from 1.
    far_a, far_b = (abs(math.log(max(f.value, 1e-9) / float(f.best))) for f in (a, b))
    return "better" if far_b < far_a else "worse"


def differences(a: ReplayResult, b: ReplayResult) -> Iterator[str]:
    """Say what makes the two results hard to compare, and what was changed between them."""
    one, other = a.provenance, b.provenance
    if one.input_sha256 != other.input_sha256:
        yield "the inputs differ: figures of different flights say little about the change between them"
    if a.kind != b.kind:
        yield f"a was replayed {a.kind}, b {b.kind}: their times mean different things"
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


def render(changes: tuple[Change, ...], notes: list[str]) -> str:
    """Return a table in Markdown, what changed first."""
    order = {"worse": 0, "better": 1, "same": 2, "only in a": 3, "only in b": 3}
    lines = [*notes, "", "| figure | a | b | change | |", "|---|--:|--:|--:|---|"]
    for change in sorted(changes, key=lambda each: order[each.verdict]):
        ratio = "" if not change.a or change.b is None else f"{100 * (change.b / change.a - 1):+.1f} %"
        cells = (_shown(change.a, change.unit), _shown(change.b, change.unit), ratio, change.verdict)
        lines.append(f"| {change.name} | {' | '.join(cells)} |")
    counts = {verdict: sum(change.verdict == verdict for change in changes) for verdict in ("better", "worse", "same")}
    lines += ["", ", ".join(f"{count} {verdict}" for verdict, count in counts.items())]
    return "\n".join(lines).lstrip("\n")


def _shown(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.4g} {unit}".rstrip()


def main(arguments: list[str] | None = None) -> int:
    """Run the command; with --fail-if-worse the status is 1 when something got worse."""
    parser = argparse.ArgumentParser(
        prog="compare", description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("a", type=Path, help="result of replay, the earlier one")
    parser.add_argument("b", type=Path, help="result of replay, the later one")
    parser.add_argument(
        "--tolerance", type=float, default=0.02, help="relative change that counts as none (default: 0.02)"
    )
    parser.add_argument("--fail-if-worse", action="store_true", help="status 1 when a figure got worse")
    given = parser.parse_args(arguments)
    if not 0 <= given.tolerance < 1:
        raise InputError(f"--tolerance must lie in 0 to 1, not {given.tolerance:g}")
    a, b = read_result(given.a), read_result(given.b)
    changes = compare(a, b, given.tolerance)
    print(render(changes, list(differences(a, b))))
    return int(given.fail_if_worse and any(change.verdict == "worse" for change in changes))
