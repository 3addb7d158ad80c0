"""Replays of bags, each by the function that `yolc replay` calls: what crosses images stays in one task.

A bag is never cut: keyframes, tracks, ids, the trajectory and the searched scale lead from each image to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from perception_common.config import to_mapping
from perception_common.errors import InputError
from replay_ros.fleet.task import Findings, Refused, Task
from replay_ros.fleet.work.bag_inputs import bag_files, software
from replay_ros.offline.networks import load_networks
from replay_ros.offline.replay import OfflineOptions
from replay_ros.replay import ReplayRequest, replay
from replay_ros.result.compare import result_metrics
from replay_ros.result.completeness import missing_answers

BAGS = "bags"  # folder of the answers


@dataclass(frozen=True)
class ReplayWork:
    """One replay. output: folder of the fleet, which holds its files."""

    request: ReplayRequest
    output: Path

    def perform(self) -> Findings:
        """Replay the bag; a replay that was broken off goes on."""
        result = replay(self.request)
        files = {"bag": self.request.options.out, "result": self.request.json, "report": self.request.report}
        return Findings(
            frames=result.frames,
            metrics=tuple(result_metrics(result)),
            missing=missing_answers(result),
            files={kind: str(path.relative_to(self.output)) for kind, path in files.items() if path and path.exists()},
        )


def plan_replays(
    bags: Mapping[str, Path], request_of: Callable[[Path, Path], ReplayRequest], output: Path
) -> list[Task]:
    """Return the task of each bag. request_of: the replay of a bag into a path.

    Raises InputError for options that no bag can be replayed with; a bag of its own fault gets a task that fails.
    """
    tasks, faults = [], []
    for name, bag in bags.items():
        try:
            request = request_of(bag, output / BAGS / name)
            assert isinstance(request.options, OfflineOptions)
            work, setup = ReplayWork(request, output), _setup(request, request.options)
        except InputError as error:
            faults.append(error)
            tasks.append(Task(name, bag, (), Refused(str(error)), {}))
        else:
            truth = [Path(request.truth)] if request.truth and Path(request.truth).is_file() else []
            tasks.append(Task(name, bag, (*bag_files(bag), *truth), work, setup))
    if faults and len(faults) == len(bags):
        raise faults[0]
    return tasks


def _setup(request: ReplayRequest, options: OfflineOptions) -> dict[str, Any]:
    """Return all that the answers depend on beside the bag."""
    given = to_mapping(replace(options, bag=Path(), out=Path(), params_file=None, force=False))
    networks = _networks(options.params_file, options.detection, options.matching, options.namespace)
    return {"options": given, "truth": request.truth, "report": request.report is not None, **networks, **software()}


@lru_cache(maxsize=64)
def _networks(params_file: Path | None, detection: bool, matching: bool, namespace: str) -> dict[str, Any]:
    found = load_networks(params_file, detection=detection, matching=matching, namespace=namespace)
    return {"configuration": found.configuration, "weights": found.weights}
