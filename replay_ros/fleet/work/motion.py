"""Evaluations of the motion in replayed bags, each by the function that `yolc evaluate motion` calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from perception_common.atomic_file import make_folder
from perception_common.text.json_files import write_json
from replay_ros.evaluation.motion.bags import MotionBagOptions, evaluate_motion_of_bag
from replay_ros.fleet.task import Findings, Task
from replay_ros.fleet.work.bag_inputs import RESULT_FILES, bag_files, software
from replay_ros.result.compare import motion_metrics


@dataclass(frozen=True)
class MotionWork:
    """The evaluation of one bag. result: file to write, in the folder `output` of the fleet."""

    bag: Path
    options: MotionBagOptions
    result: Path
    output: Path

    def perform(self) -> Findings:
        """Evaluate, and write the file of `yolc evaluate motion --json`."""
        found = evaluate_motion_of_bag(self.bag, self.options)
        content = json.loads(json.dumps(asdict(found)))
        make_folder(self.result.parent)
        write_json(self.result, {"bag": str(self.bag), **content})
        poses = found.association
        unmatched = f"none of {poses.poses} poses has a true pose within {poses.tolerance_s:g} s in {found.truth}"
        return Findings(
            frames=poses.matched,
            metrics=tuple(motion_metrics(content)),
            missing=() if poses.matched else (unmatched,),
            files={"result": str(self.result.relative_to(self.output))},
        )


def plan_motion(bags: Mapping[str, Path], options: MotionBagOptions, output: Path) -> list[Task]:
    """Return the task of each bag."""
    setup = {"options": {field.name: _plain(getattr(options, field.name)) for field in fields(options)}, **software()}
    truth = [Path(options.truth)] if options.truth and Path(options.truth).is_file() else []
    truth += bag_files(options.truth_bag) if options.truth_bag else []
    return [
        Task(
            name,
            bag,
            (*bag_files(bag), *truth),
            MotionWork(bag, options, output / RESULT_FILES / f"{name}.json", output),
            setup,
        )
        for name, bag in bags.items()
    ]


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value) if isinstance(value, Path) else value
