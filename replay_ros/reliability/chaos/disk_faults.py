"""Faults of the disk, and the death of the recorder. What was written before must be readable afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch

from perception_common.errors import InputError
from perception_common.training.average import WeightAverage
from perception_common.training.checkpoint import RunState
from perception_common.training.distributed import Processes
from perception_common.tum import read_tum
from replay_ros.bags.reader import open_bag
from replay_ros.outputs import STATUS
from replay_ros.reliability.bench import START_SECONDS, kill
from replay_ros.reliability.chaos.faults import Broken, Fault, require_answers
from replay_ros.reliability.chaos.small_disk import SmallDisk
from replay_ros.reliability.chaos.system import System

_FAULT_SECONDS = 4.0
_RECORDING_SECONDS = 5.0
_JUMP_SECONDS = 3600.0
_COMPLETION_SECONDS = 5.0


def disk_faults(disk: SmallDisk) -> dict[str, Fault]:
    """Return the faults of a disk on which loftr_node writes its trajectory."""
    return {
        "disk full while a trajectory is written": lambda system: _full_disk(system, disk),
        "disk full while the stamps jump back": lambda system: _full_disk(system, disk, jump=True),
        "disk read-only while the stamps jump back": lambda system: _read_only_disk(system, disk),
        "disk full while a bag is recorded": lambda system: _record(system, disk.folder, disk.fill, disk.free),
        "kill the recorder": lambda system: _record(system, system.bench.folder, None, lambda: None),
        "disk full while a checkpoint is written": lambda system: _save_checkpoint(disk),
    }


def check_trajectories(system: System) -> None:
    """Raise Broken when a trajectory that the node wrote cannot be read, or when there is none.

    The node completes a line that a full disk has cut with its next image, so it gets a moment.
    """
    if not system.bench.until(lambda: not _trajectory_fault(system), _COMPLETION_SECONDS):
        raise Broken(_trajectory_fault(system))


def _trajectory_fault(system: System) -> str:
    files = sorted(system.trajectory.parent.glob("trajectory*.txt"))
    try:
        counts = {file.name: len(read_tum(file).stamps_ns) for file in files if _has_poses(file)}
    except InputError as error:
        return str(error)
    return "" if counts else f"no poses were recorded in {[file.name for file in files]}"


def _has_poses(file: Path) -> bool:
    return any(line.strip() and not line.startswith("#") for line in file.read_text().splitlines())


def _full_disk(system: System, disk: SmallDisk, jump: bool = False) -> None:
    disk.fill()
    _go_on(system, jump)
    disk.free()


def _read_only_disk(system: System, disk: SmallDisk) -> None:
    with disk.read_only():
        _go_on(system, jump=True)


def _go_on(system: System, jump: bool) -> None:
    """Let images flow while the disk is of no use; the nodes must answer them."""
    if jump:
        system.camera.change(stamp_offset_s=-_JUMP_SECONDS)
    before = time.time()
    system.bench.listen(_FAULT_SECONDS)
    require_answers(system, before, "while the disk was of no use")
    if jump:
        system.camera.change(stamp_offset_s=0.0)


def _record(system: System, folder: Path, fault: Callable[[], None] | None, end: Callable[[], None]) -> None:
    """Record answers; then kill the recorder, or let the fault end it. The messages until then must be readable."""
    bag = folder / "recorded"
    recorder, listeners = system.bench.start_recorder(bag), system.bench.node.count_subscribers(STATUS)
    system.bench.until(lambda: system.bench.node.count_subscribers(STATUS) > listeners, START_SECONDS)
    system.bench.listen(_RECORDING_SECONDS)
    if fault is None:
        kill(recorder)
    else:
        fault()
        if not system.bench.until(lambda: recorder.poll() is not None, _RECORDING_SECONDS):
            kill(recorder)
        end()
    files = list(folder.glob("*recorded*/**/*.mcap"))
    count = sum(map(_count_messages, files))
    for file in files:
        file.unlink()
    if not count:
        raise Broken("none of the recorded messages can be read")


def _count_messages(file: Path) -> int:
    try:
        with open_bag(file) as bag:
            return bag.count
    except InputError as error:
        raise Broken(f"the recording cannot be read: {error}") from error


def _save_checkpoint(disk: SmallDisk) -> None:
    """Save a checkpoint, and a second one when there is no space; the first must stay as it was."""
    path, processes = disk.folder / "checkpoint.pt", Processes(rank=0, count=1, device=torch.device("cpu"))
    module = torch.nn.Linear(8, 8)
    state = RunState(module, torch.optim.SGD(module.parameters(), 0.1), WeightAverage(module, 0.9), step=1)
    state.save(path, processes)
    disk.fill()
    state.step = 2
    try:
        state.save(path, processes)
    except InputError:
        pass
    else:
        raise Broken("a checkpoint on a full disk was reported as saved")
    finally:
        disk.free()
    state.load(path, processes)
    leftovers = [file.name for file in disk.folder.glob(".unfinished*")]
    if state.step != 1 or leftovers:
        raise Broken(f"the checkpoint before was lost, or half of one stayed: {leftovers}")
    path.unlink()
