"""The command `benchmark`: speed and memory of this package beside a peer, in one run."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from perception_common.backends.devices import default_threads, set_threads
from perception_common.cli import run
from perception_common.errors import InputError
from perception_common.text.json_files import write_json
from perception_common.text.markdown import markdown_table
from replay_ros.benchmarks.machine import Machine, describe_machine
from replay_ros.benchmarks.measurement import Check, Measurement, Plan, Report

_EXAMPLE = """\
example:
  benchmark
  benchmark --only loftr yolc --repeat 15 --threads 2 --json benchmark.json

Exit status 2: outputs that must be equal are not."""


@dataclass(frozen=True)
class Subject:
    """A module of `replay_ros.benchmarks` with `measure(plan) -> Report`, and what it needs beyond this package."""

    about: str
    optional: tuple[str, ...] = ()  # Python modules
    advice: str = ""


SUBJECTS = {
    "loftr": Subject("full-size LoFTR beside kornia's", ("kornia",), "pip install kornia"),
    "memory": Subject("peak memory of LoFTR and of kornia's", ("kornia",), "pip install kornia"),
    "yolc": Subject("full-size YOLC beside a plain version of it"),
    "lite": Subject("lite variants, frames per second"),
    "stages": Subject(
        "what the nodes do beside their networks",
        ("rclpy", "sensor_msgs", "yolc_ros.msg"),
        "run `make`, then `source setup.bash`",
    ),
    "pose": Subject("relative poses from matches beside OpenCV's"),
    "consistency": Subject("are the covariances of relative poses honest (minutes)"),
    "training": Subject("one training step of the lite networks"),
}

QUICK = Plan(
    threads=1,
    rounds=2,
    fast_rounds=3,
    pair=(128, 96),
    memory_pair=(320, 240),  # tens of MiB: what the kernel counts is a quarter of one off
    yolc_input=(128, 96),
    frames=((128, 96),),
    node_frame=(192, 128),
    detections=20,
    matches=200,
    pairs=8,
    training_size=(128, 96),
)
"""Sizes at which everything runs in seconds; its times mean nothing."""


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write what was asked for."""
    arguments = parse_arguments(argv)
    plan = make_plan(arguments)
    set_threads(plan.threads)
    machine = describe_machine(plan.threads)
    reports = [report for name in arguments.only or SUBJECTS if (report := measure(name, plan, bool(arguments.only)))]
    print("\n".join(render(machine, reports)))
    if arguments.json:
        write_reports(arguments.json, machine, plan, reports)
    broken = [check for report in reports for check in report.checks if check.kind == "equality" and not check.holds]
    return 2 if broken else 0


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    about = "".join(f"\n  {name:11} {subject.about}" for name, subject in SUBJECTS.items())
    parser = argparse.ArgumentParser(
        prog="benchmark",
        description=f"{__doc__}\n\nsubjects:{about}",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, metavar="NAME", help="these subjects (default: all)")
    parser.add_argument("--repeat", type=int, default=0, metavar="N", help="rounds of the networks (7)")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="of torch (default: the cores there are)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there too")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it works, times mean nothing")
    return parser.parse_args(argv)


def make_plan(arguments: argparse.Namespace) -> Plan:
    """Settle sizes, rounds and threads. Raises InputError for negative numbers."""
    if arguments.repeat < 0 or arguments.threads < 0:
        raise InputError("--repeat and --threads must be positive")
    plan = QUICK if arguments.quick else Plan(threads=default_threads())
    return replace(plan, rounds=arguments.repeat or plan.rounds, threads=arguments.threads or plan.threads)


def measure(name: str, plan: Plan, was_named: bool) -> Report | None:
    """Run one subject. What it needs and is not installed is an InputError if it was named, else it is left out."""
    subject = SUBJECTS[name]
    try:
        module = importlib.import_module(f"replay_ros.benchmarks.subjects.{name}")
    except ModuleNotFoundError as error:
        if not any(f"{error.name}.".startswith(f"{module}.") for module in subject.optional):
            raise
        message = f"{name} needs {error.name}, which is not there: {subject.advice}"
        if was_named:
            raise InputError(message) from error
        print(f"benchmark: {message}; left out", file=sys.stderr)
        return None
    return module.measure(plan)


def write_reports(path: Path, machine: Machine, plan: Plan, reports: Sequence[Report]) -> None:
    """Write machine, plan and reports. Raises InputError when the file cannot be written."""

    def check_mapping(check: Check) -> dict[str, Any]:
        return asdict(check) | {"holds": check.holds}

    checked = [asdict(report) | {"checks": [check_mapping(check) for check in report.checks]} for report in reports]
    write_json(path, {"machine": asdict(machine), "plan": asdict(plan), "reports": checked})


def render(machine: Machine, reports: Sequence[Report]) -> Iterator[str]:
    """Lines of Markdown that are readable as they are."""
    yield f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib} GiB; {machine.threads} threads of torch"
    yield f"Python {machine.python}, torch {machine.torch}, kornia {machine.kornia}"
    yield f"OMP_WAIT_POLICY {machine.wait_policy}, load average at the start {machine.load_average}"
    for report in reports:
        yield ""
        yield f"## {report.subject}"
        yield report.conditions
        yield ""
        yield from markdown_table([("", "median", "", "quartiles", "minimum", "runs"), *map(_cells, report.rows)])
        if report.checks:
            yield ""
        for check in report.checks:
            yield f"- {_sentence(check)}"
        for note in report.notes:
            yield f"- {note}"


def _cells(row: Measurement) -> tuple[str, ...]:
    quartiles = f"{_number(row.lower_quartile)} to {_number(row.upper_quartile)}"
    return row.name, _number(row.median), row.unit, quartiles, _number(row.minimum), str(row.runs)


def _number(value: float) -> str:
    """Three significant digits, or all digits before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _sentence(check: Check) -> str:
    unit = f" {check.unit}" if check.unit else ""
    verdict = {
        ("equality", True): "equal",
        ("equality", False): "NOT EQUAL",
        ("aim", True): "reached",
        ("aim", False): "missed",
    }[check.kind, check.holds]
    return f"{check.name}: {_number(check.value)}{unit}, at most {_number(check.limit)}{unit}: {verdict}"


if __name__ == "__main__":
    run(main)
