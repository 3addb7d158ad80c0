"""The lite networks on a machine of their own and beside two busy loops, with one thread and with all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from loftr_ros.image_matcher import MatcherSettings
from loftr_ros.matcher import Matcher
from perception_common.backends.devices import choose_device
from replay_ros.benchmarks.busy_loops import busy_loops
from replay_ros.benchmarks.measurement import BenchmarkPlan, Check, Measurement, SubjectReport, take_turns
from replay_ros.benchmarks.subjects.lite import match_with_cached
from replay_ros.benchmarks.synthetic import crowded_frame, textured_pair
from yolc_ros.detector import Detector

LOOPS = 2
SLOWDOWN_AIM = 2.5  # times the duration without the loops


def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Time both in turns with and without the loops."""
    width, height = plan.pair
    image0, image1 = textured_pair(width, height)
    matcher = Matcher.load("loftr_lite", "default", choose_device("cpu"), MatcherSettings(max_side=0))
    detector = Detector.load("yolc_lite", "default", choose_device("cpu"))
    works: dict[str, Callable[[], object]] = {
        "loftr_lite": partial(match_with_cached, matcher, matcher.encode(image0), image1),
        "yolc_lite": partial(detector.detect, crowded_frame(width, height)),
    }
    rows, checks = [], []
    with busy_loops(LOOPS) as loops:
        for threads in sorted({1, plan.threads}):
            for name, work in works.items():
                title = f"{name}, {threads} thread{'s' * (threads > 1)}"
                alone = partial(_with_threads, threads, work)
                tasks: dict[str, Callable[[], object]] = {"alone": alone, "beside": loops.beside(alone)}
                seconds = take_turns(tasks, plan.rounds, f"load, {title}")
                slowdown = Measurement.ratio(f"{title}, beside / alone", seconds["beside"], seconds["alone"])
                rows.append(Measurement.milliseconds(f"{title}, alone", seconds["alone"]))
                rows.append(Measurement.milliseconds(f"{title}, beside {LOOPS} busy loops", seconds["beside"]))
                rows.append(slowdown)
                checks.append(Check(slowdown.name, "aim", slowdown.median, SLOWDOWN_AIM, "x"))
    return SubjectReport(
        subject="load",
        conditions=f"lite networks in fp32, shipped weights, an image of {width}x{height} to detections, or to matches "
        f"with a keyframe whose features are kept; {LOOPS} processes beside them that only compute",
        rows=tuple(rows),
        checks=tuple(checks),
    )


def _with_threads(threads: int, work: Callable[[], object]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        work()
    finally:
        torch.set_num_threads(before)
