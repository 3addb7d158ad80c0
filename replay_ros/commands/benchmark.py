"""Measure speed and memory of this package beside a peer, in one run."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from perception_common.backends.devices import default_threads, set_threads
from perception_common.errors import InputError
from replay_ros.benchmarks.figure import check_plot, draw_figure
from replay_ros.benchmarks.machine import describe_machine
from replay_ros.benchmarks.measurement import QUICK_PLAN, BenchmarkPlan
from replay_ros.benchmarks.report_text import report_lines
from replay_ros.benchmarks.run import SUBJECTS, run_subject, write_reports

NAME = "benchmark"


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    subjects = "".join(f"\n  {name:11} {subject.about}" for name, subject in SUBJECTS.items())
    examples = f"""\
example:
  {prog}
  {prog} --only loftr yolc --repeat 15 --threads 2 --json benchmark.json
  {prog} --only looks --json looks.json --plot looks.svg

Exit status 2: outputs that must be equal are not."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=f"{__doc__}\n\nsubjects:{subjects}",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, metavar="NAME", help="these subjects (default: all)")
    parser.add_argument("--repeat", type=int, default=0, metavar="N", help="timed runs of the networks (default: 7)")
    pairs = f"matched pairs of the subject consistency (default: {BenchmarkPlan.matched_pairs})"
    parser.add_argument("--pairs", type=int, default=0, metavar="N", help=pairs)
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="of torch (default: number of cores)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write machine, plan and results to this file")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="plot the subject looks, .svg or .png")
    parser.add_argument("--quick", action="store_true", help="tiny sizes to try the command; durations are meaningless")
    return parser


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Run the command; returns 2 when outputs that must be equal differ. Raises InputError."""
    given = build_parser(prog).parse_args(arguments)
    if given.repeat < 0 or given.threads < 0 or given.pairs < 0:
        raise InputError("--repeat, --pairs and --threads must be positive")
    if given.plot:
        check_plot(given.plot)
        if given.only and "looks" not in given.only:
            raise InputError("--plot draws the subject looks: add it to --only")
    plan = QUICK_PLAN if given.quick else BenchmarkPlan(threads=default_threads())
    plan = replace(
        plan,
        rounds=given.repeat or plan.rounds,
        threads=given.threads or plan.threads,
        matched_pairs=given.pairs or plan.matched_pairs,
    )
    set_threads(plan.threads)
    machine = describe_machine(plan.threads)
    names = given.only or SUBJECTS
    reports = [report for name in names if (report := run_subject(name, plan, is_required=bool(given.only)))]
    print("\n".join(report_lines(machine, reports)))
    if given.json:
        write_reports(given.json, machine, plan, reports)
    figures = [report.figure for report in reports if report.figure is not None]
    if given.plot:
        draw_figure(figures[0], given.plot)
    checks = [check for report in reports for check in report.checks]
    return 2 if any(check.kind == "equality" and not check.holds for check in checks) else 0
