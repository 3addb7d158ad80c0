"""The parts of the check, one after the other, and the files it writes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from perception_common.atomic_file import make_folder, output_file
from perception_common.errors import InputError
from replay_ros.benchmarks.gpu_check import nodes, parity, timings
from replay_ros.benchmarks.gpu_check.plan import GpuCheckPlan
from replay_ros.benchmarks.machine import Machine
from replay_ros.benchmarks.measurement import SubjectReport
from replay_ros.benchmarks.report_text import report_lines
from replay_ros.benchmarks.run import write_reports

JSON, MARKDOWN = "gpu_check.json", "gpu_check.md"


def check_gpu(device: str, plan: GpuCheckPlan, machine: Machine, folder: Path) -> tuple[SubjectReport, ...]:
    """Check a device and write gpu_check.json and gpu_check.md into a folder, after each part of the check.

    Parts for which no time is left are named. Raises InputError for a GPU that torch does not find.
    """
    if device != "cpu" and not torch.cuda.is_available():
        raise InputError(
            "--gpu-check needs a CUDA GPU, and torch finds none; --device cpu tries the command on the CPU"
        )
    make_folder(folder)
    parts: dict[str, Callable[[], SubjectReport]] = {
        "parity": partial(parity.measure, device, plan),
        "nodes": partial(nodes.measure, device, plan, folder / "nodes"),
        "timings": partial(timings.measure, device, plan),
    }
    reports: list[SubjectReport] = []
    start = time.monotonic()
    for name, measure in parts.items():
        spent = time.monotonic() - start
        print(f"{name}, {spent:.0f} s so far", file=sys.stderr)
        if spent > plan.seconds:
            reports.append(SubjectReport(name, f"left out: {spent:.0f} s were spent, more than {plan.seconds:.0f}"))
        else:
            reports.append(measure())
        write_reports(folder / JSON, machine, asdict(plan), reports)
        with output_file(folder / MARKDOWN) as unfinished:
            unfinished.write_text("\n".join(report_lines(machine, reports)) + "\n")
    return tuple(reports)
