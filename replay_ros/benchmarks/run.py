"""The subjects of the benchmark, and how one is run."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from perception_common.errors import InputError
from perception_common.text.json_files import write_json
from replay_ros.benchmarks.machine import Machine
from replay_ros.benchmarks.measurement import BenchmarkPlan, SubjectReport


@dataclass(frozen=True)
class Subject:
    """A module of `replay_ros.benchmarks` with `measure(plan) -> SubjectReport`.

    optional: Python modules that it needs beyond this package. advice: how to install them. folder: of the module.
    """

    about: str
    optional: tuple[str, ...] = ()
    advice: str = ""
    folder: str = "subjects"


SUBJECTS = {
    "loftr": Subject("full-size LoFTR beside kornia's", ("kornia",), "pip install kornia"),
    "memory": Subject("peak memory of LoFTR and of kornia's", ("kornia",), "pip install kornia"),
    "yolc": Subject("full-size YOLC beside a plain version of it"),
    "lite": Subject("lite variants, frames per second"),
    "load": Subject("lite variants beside two busy loops"),
    "runtimes": Subject(
        "lite networks in torch and in ONNX Runtime",
        ("onnx", "onnxruntime", "onnxscript"),
        "run `pip install '.[onnx]'` in the checkout",
    ),
    "stages": Subject(
        "processing of the nodes outside their networks",
        ("rclpy", "sensor_msgs", "yolc_ros.msg"),
        "run `make`, then `source setup.bash`",
    ),
    "pose": Subject("relative poses from matches beside OpenCV's"),
    "consistency": Subject("consistency of the covariances of relative poses (minutes)", folder="accuracy"),
    "loops": Subject(
        "loop closures on simulated lawn-mower flights, with the true common ground (minutes)", folder="accuracy"
    ),
    "tracks": Subject("tracks of keypoints through simulated flights (minutes)", folder="accuracy"),
    "hover": Subject(
        "false and missed translations of cameras that hover, turn or move a little (minutes)", folder="accuracy"
    ),
    "tracking": Subject("ids of objects on simulated flights (minutes)", folder="accuracy"),
    "georeference": Subject("places of objects on the ground over simulated flights (minutes)", folder="accuracy"),
    "odometry": Subject("increments of the odometry over simulated flights (minutes)", folder="accuracy"),
    "fleet": Subject(
        "rate of `yolc fleet` with one and two workers of one thread",
        ("rclpy", "sensor_msgs", "yolc_ros.msg"),
        "run `make`, then `source setup.bash`",
    ),
    "looks": Subject(
        "AP50 over time of the whole image, the Local Scale Module and slices, on 4K views (minutes)", folder="accuracy"
    ),
    "budget": Subject("time of looks within budget_ms, and what is left out (minutes)", folder="accuracy"),
    "training": Subject("one training step of the lite networks"),
}


def run_subject(name: str, plan: BenchmarkPlan, is_required: bool) -> SubjectReport | None:
    """Run one subject.

    When a module that it needs is missing: raises InputError if `is_required`, else prints a line and returns None.
    """
    subject = SUBJECTS[name]
    try:
        module = importlib.import_module(f"replay_ros.benchmarks.{subject.folder}.{name}")
    except ModuleNotFoundError as error:
        if not any(f"{error.name}.".startswith(f"{module}.") for module in subject.optional):
            raise
        message = f"{name} needs {error.name}, which is not installed: {subject.advice}"
        if is_required:
            raise InputError(message) from error
        print(f"benchmark: {message}; left out", file=sys.stderr)
        return None
    return module.measure(plan)


def write_reports(path: Path, machine: Machine, plan: Mapping[str, Any], reports: Sequence[SubjectReport]) -> None:
    """Write machine, plan (plain values) and reports as JSON. Raises InputError when the file cannot be written."""
    mappings = [
        asdict(report) | {"checks": [asdict(check) | {"holds": check.holds} for check in report.checks]}
        for report in reports
    ]
    write_json(path, {"machine": asdict(machine), "plan": plan, "reports": mappings})
