"""Durations on a device from the image to matches and boxes, with and without a lower precision and graphs."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch

from perception_common.backends.devices import DevicePolicy
from replay_ros.benchmarks.gpu_check.networks import detector_on, matcher_on, models, policies
from replay_ros.benchmarks.gpu_check.plan import GpuCheckPlan
from replay_ros.benchmarks.measurement import Measurement, SubjectReport, take_turns
from replay_ros.benchmarks.subjects.lite import match_with_cached
from replay_ros.benchmarks.synthetic import crowded_frame, textured_pair

WARM_UP = 3  # runs of an image, in which kernels are chosen and graphs are recorded


def measure(device: str, plan: GpuCheckPlan) -> SubjectReport:
    """Time each network in each way."""
    ways = policies(device)
    (first, *_) = ways.values()
    tasks = {f"{model}, {name}": task for name, policy in ways.items() for model, task in _tasks(policy, plan).items()}
    for task in tasks.values():
        for _ in range(WARM_UP):
            task()
    if first.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(first.device)
    seconds = take_turns(tasks, plan.rounds, "timings", partial(_clock, first.device))
    rows = [Measurement.milliseconds(name, values) for name, values in seconds.items()]
    if first.device.type == "cuda":
        mebibytes = torch.cuda.max_memory_allocated(first.device) / 2**20
        rows.append(Measurement.of("largest memory of all networks together", "MiB", [mebibytes]))
    notes = tuple(f"{name}: {note}" for name, policy in ways.items() for note in policy.notes)
    return SubjectReport(
        subject="timings",
        conditions=f"{models(plan)} on {device}: an image of {plan.pair[0]}x{plan.pair[1]} matched with a keyframe "
        f"whose features are kept, and objects of an image of {plan.frame[0]}x{plan.frame[1]} in one look; auto is "
        f"{str(ways['auto'].dtype).removeprefix('torch.')}",
        rows=tuple(rows),
        notes=notes,
    )


def _tasks(policy: DevicePolicy, plan: GpuCheckPlan) -> dict[str, Callable[[], object]]:
    """Return what is timed, by network."""
    image0, image1 = textured_pair(*plan.pair)
    frame = crowded_frame(*plan.frame)
    tasks: dict[str, Callable[[], object]] = {}
    for model in plan.matchers:
        matcher = matcher_on(model, policy)
        tasks[model] = partial(match_with_cached, matcher, matcher.encode(image0), image1)
    for model in plan.detectors:
        tasks[model] = partial(detector_on(model, policy).detect, frame)
    return tasks


def _clock(device: torch.device) -> float:
    """Return the time when all that is queued on the device is done, seconds."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
