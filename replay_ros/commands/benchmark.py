"""Measure speed and memory of this package beside a peer, in one run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from perception_common.atomic_file import check_writable
from perception_common.backends.devices import default_threads, set_threads
from perception_common.errors import InputError
from replay_ros.benchmarks.figure import check_plot, draw_figure
from replay_ros.benchmarks.gpu_check.check import check_gpu
from replay_ros.benchmarks.gpu_check.plan import QUICK_GPU_CHECK, GpuCheckPlan
from replay_ros.benchmarks.machine import Machine, describe_machine
from replay_ros.benchmarks.measurement import QUICK_PLAN, BenchmarkPlan, SubjectReport
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
  {prog} --gpu-check --output gpu_check
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
    gpu_check = "check a GPU in at most 5 minutes: equal outputs, both nodes, durations; writes JSON and Markdown"
    parser.add_argument("--gpu-check", action="store_true", help=gpu_check)
    parser.add_argument("--output", type=Path, metavar="DIR", help="of --gpu-check: folder for its files")
    parser.add_argument("--device", default="", help="of --gpu-check: cuda:N, or cpu to try it (default: cuda)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="plot the subject looks, .svg or .png")
    parser.add_argument("--quick", action="store_true", help="tiny sizes to try the command; durations are meaningless")
    return parser


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Run the command; returns 2 when outputs that must be equal differ. Raises InputError."""
    given = build_parser(prog).parse_args(arguments)
    if given.repeat < 0 or given.threads < 0 or given.pairs < 0:
        raise InputError("--repeat, --pairs and --threads must be positive")
    if bool(given.output) != given.gpu_check or (given.device and not given.gpu_check):
        raise InputError("--gpu-check needs --output DIR, and --output and --device need --gpu-check")
    if given.gpu_check and (given.only or given.json or given.plot):
        raise InputError("--gpu-check has no subjects and writes into --output: leave out --only, --json and --plot")
    if given.plot:
        check_plot(given.plot)
        if given.only and "looks" not in given.only:
            raise InputError("--plot draws the subject looks: add it to --only")
    check_writable(given.json)
    plan = QUICK_PLAN if given.quick else BenchmarkPlan(threads=default_threads())
    plan = replace(
        plan,
        rounds=given.repeat or plan.rounds,
        threads=given.threads or plan.threads,
        matched_pairs=given.pairs or plan.matched_pairs,
    )
    set_threads(plan.threads)
    machine = describe_machine(plan.threads)
    reports = _check(given, machine) if given.gpu_check else _run(given, plan)
    print("\n".join(report_lines(machine, reports)))
    if given.json:
        write_reports(given.json, machine, asdict(plan), reports)
    if given.plot:
        draw_figure(next(report.figure for report in reports if report.figure is not None), given.plot)
    return _status(reports)


def _run(given: argparse.Namespace, plan: BenchmarkPlan) -> Sequence[SubjectReport]:
    names = given.only or SUBJECTS
    return [report for name in names if (report := run_subject(name, plan, is_required=bool(given.only)))]


def _check(given: argparse.Namespace, machine: Machine) -> Sequence[SubjectReport]:
    plan = QUICK_GPU_CHECK if given.quick else GpuCheckPlan()
    plan = replace(plan, rounds=given.repeat or plan.rounds)
    return check_gpu(given.device or "cuda", plan, machine, given.output)


def _status(reports: Sequence[SubjectReport]) -> int:
    checks = [check for report in reports for check in report.checks]
    return 2 if any(check.kind == "equality" and not check.holds for check in checks) else 0
