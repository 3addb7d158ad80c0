"""Run both nodes, or the readers of input from outside, under long load, overload, faults, races or hostile input."""

from __future__ import annotations

import argparse
import importlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from perception_common.atomic_file import check_writable
from perception_common.cli import number
from perception_common.errors import InputError
from replay_ros.reliability.report import ReliabilityReport, write_report

NAME = "reliability"


@dataclass(frozen=True)
class Subject:
    """A kind of run. amount: how much by default, in `unit`. module: of `replay_ros.reliability`, where `run` is."""

    about: str
    amount: float
    unit: str
    module: str
    run: str
    takes: tuple[str, ...] = ()  # of the options seed and only


_BOTH = ("seed", "only")
SUBJECTS = {
    "soak": Subject("memory, descriptors and threads over many images", 5_000, "images", "soak", "run_soak"),
    "overload": Subject("latency and counts at ten times the answered rate", 3, "minutes", "overload", "run_overload"),
    "chaos": Subject(
        "killed processes, wrong clocks, full disks, broken input",
        1,
        "rounds of all faults",
        "chaos.run",
        "run_chaos",
        _BOTH,
    ),
    "fuzz": Subject(
        "hostile messages, bags, labels, weights and settings", 50_000, "inputs", "fuzz.run", "run_fuzz", _BOTH
    ),
    "races": Subject(
        "transitions, parameter changes and requests from several threads at once",
        2_000,
        "transitions",
        "races.run",
        "run_races",
        ("seed",),
    ),
}


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    subjects = "".join(
        f"\n  {name:9} {each.about} (default: {each.amount:g} {each.unit})" for name, each in SUBJECTS.items()
    )
    examples = f"""\
example:
  {prog} chaos --only kill stop
  {prog} soak --amount 100000 --json soak.json

Exit status 2: something failed, or a limit does not hold."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=f"{__doc__}\n\nsubjects:{subjects}",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("subject", choices=SUBJECTS, help="what to run")
    parser.add_argument("--amount", type=number, metavar="N", help="images, minutes, rounds, inputs or transitions")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of chaos, fuzz and races (default: 0)")
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="WORD", help="faults or targets with one of these words in the name"
    )
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="logs, and the corpus of fuzz (default: a temporary folder)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return parser


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Run the command; returns 2 when something failed or a limit does not hold. Raises InputError."""
    given = build_parser(prog).parse_args(arguments)
    subject = SUBJECTS[given.subject]
    amount = subject.amount if given.amount is None else given.amount
    if amount <= 0:
        raise InputError(f"--amount must be positive, in {subject.unit}")
    options = {name: value for name in _BOTH if (value := getattr(given, name))}
    for name in options.keys() - set(subject.takes):
        raise InputError(f"{given.subject} has no use for --{name}; leave it out")
    check_writable(given.json)
    folder = given.folder or Path(tempfile.mkdtemp(prefix=f"{given.subject}_"))
    run = getattr(importlib.import_module(f"replay_ros.reliability.{subject.module}"), subject.run)
    report: ReliabilityReport = run(amount if subject.unit == "minutes" else round(amount), folder, **options)
    print("\n".join(report.lines()))
    if given.json:
        write_report(given.json, report)
    if not report.holds:
        print(f"logs: {folder}")
    return 0 if report.holds else 2
