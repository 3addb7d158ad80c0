"""Overload: images at ten times the rate that is answered; latency must stay flat, and every image must be counted."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from perception_common.errors import InputError
from replay_ros.reliability.bench import ANSWERS, START_SECONDS, Answer, Bench, RemoteCamera, running_bench
from replay_ros.reliability.camera import CameraState
from replay_ros.reliability.report import ReliabilityReport, limit

FACTOR = 10
LATENCY_LIMIT = 1.2  # p99 of the last minute over that of the first
_SIZE = (320, 240)  # pixels
_CALIBRATION_SECONDS = 15.0  # in runs of a minute and more; shorter ones have shorter parts
_HIGHEST_HZ = 400.0  # what a Python publisher sends of this size beside two busy nodes
_SETTLE_SECONDS = 30.0  # longest wait for the last answers and the diagnostics after them
_WARM_UP_SECONDS = 10.0  # of load before the first minute begins, likewise
_SHORTEST_SECONDS = 10.0
_COUNTS = ("answered", "dropped", "refused")
_PARAMETERS: dict[str, dict[str, object]] = {"yolc_node": {"lsm": "none"}, "loftr_node": {"keyframe_memory_mb": 16}}


def run_overload(minutes: float, folder: Path) -> ReliabilityReport:
    """Overload both nodes for some minutes. folder: gets the logs. Raises InputError when a node does not answer."""
    if minutes * 60 < _SHORTEST_SECONDS:
        raise InputError(f"an overload lasts at least {_SHORTEST_SECONDS:g} s: give more minutes")
    part = min(1.0, minutes)
    with running_bench(folder) as bench:
        for name in ANSWERS:
            bench.start_node(name, num_threads=1, **_PARAMETERS[name])
        camera = bench.start_camera(CameraState(width=_SIZE[0], height=_SIZE[1], rate_hz=1.0))
        bench.require(lambda: all(bench.answers.values()), START_SECONDS, "a first answer of both nodes")
        rate = _answered_rate(bench, camera, part * _CALIBRATION_SECONDS)
        offered = min(FACTOR * rate, _HIGHEST_HZ)
        camera.change(rate_hz=offered)
        bench.listen(part * _WARM_UP_SECONDS)
        for answers in bench.answers.values():
            answers.clear()
        start = time.time()
        bench.listen(60 * minutes)
        camera.finish()
        bench.listen(2.0)
        bench.until(lambda: not any(_uncounted(bench, name) for name in ANSWERS), _SETTLE_SECONDS)
        return _report(bench, minutes, rate, offered, start)


def _answered_rate(bench: Bench, camera: RemoteCamera, seconds: float) -> float:
    """Return the images that the faster node answers in a second when there is always one to answer."""
    camera.change(rate_hz=_HIGHEST_HZ)
    bench.listen(3.0)
    before = {name: len(answers) for name, answers in bench.answers.items()}
    bench.listen(seconds)
    return max((len(bench.answers[name]) - before[name]) / seconds for name in ANSWERS)


def p99(answers: Sequence[Answer], start: float, end: float) -> float:
    """Return the 99th percentile of the latency of the answers received between two times, seconds; NaN for none."""
    latencies = [answer.latency for answer in answers if start <= answer.arrival_s < end]
    return float(np.percentile(latencies, 99)) if latencies else math.nan


def _counts(bench: Bench, name: str) -> dict[str, int]:
    return {word: int(bench.diagnosis(name).get(f"images {word}", -1)) for word in ("received", *_COUNTS)}


def _uncounted(bench: Bench, name: str) -> int:
    """Return how many received images are in no count: one while it is processed, then none."""
    counts = _counts(bench, name)
    return abs(counts["received"] - sum(counts[word] for word in _COUNTS))


def _report(bench: Bench, minutes: float, rate: float, offered: float, start: float) -> ReliabilityReport:
    end, span = start + 60 * minutes, 60 * min(1.0, minutes / 2)
    figures: dict[str, float | int | str] = {
        "minutes": minutes,
        "images answered in a second": rate,
        "images offered in a second": offered,
    }
    limits = []
    for name in ANSWERS:
        first, last = p99(bench.answers[name], start, start + span), p99(bench.answers[name], end - span, end)
        figures |= {
            f"{name}: p99 of the first {span:.0f} s [ms]": 1e3 * first,
            f"{name}: p99 of the last {span:.0f} s [ms]": 1e3 * last,
            **{f"{name}: images {word}": count for word, count in _counts(bench, name).items()},
        }
        limits += [
            limit(f"{name}: latency, last over first", last / first, LATENCY_LIMIT, "x"),
            limit(f"{name}: images in no count", _uncounted(bench, name), 0),
        ]
    return ReliabilityReport(
        "overload", f"images of {_SIZE[0]}x{_SIZE[1]} at {offered / rate:.1f} times the answered rate", figures, limits
    )
