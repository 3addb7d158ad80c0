"""The lite variants from image to detections and matches, as the nodes run them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from loftr_ros.image_matcher import MatcherSettings
from loftr_ros.matcher import Features, Matcher
from loftr_ros.matches import Matches
from perception_common.backends.devices import choose_device, has_native_bf16
from replay_ros.benchmarks.measurement import BenchmarkPlan, Measurement, SubjectReport, take_turns
from replay_ros.benchmarks.synthetic import crowded_frame, textured_pair
from replay_ros.benchmarks.untrained import untrained_lite_detector, untrained_loftr
from yolc_ros.detector import Detector

MAX_SIDE = 640  # pixels


def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Time each variant for each frame size, in bf16 too where the CPU computes it."""
    rows: list[Measurement] = []
    notes: list[str] = []
    precisions = ("fp32", "bf16") if has_native_bf16() else ("fp32",)
    network = untrained_loftr("loftr_lite")
    matchers = {name: Matcher.from_network(network, choose_device("cpu", name)) for name in precisions}
    for width, height in plan.frames:
        size = f"{width}x{height}"
        frame = crowded_frame(width, height)
        image0, image1 = textured_pair(width, height)
        detectors = {name: untrained_lite_detector(frame, plan.detections, name) for name in precisions}
        tasks: dict[str, Callable[[], object]] = {}
        for name in precisions:
            suffix = "" if name == "fp32" else f", {name}"
            variants = _variants(size, detectors[name], matchers[name], frame, image0, image1)
            tasks |= {f"{variant}{suffix}": task for variant, task in variants.items()}
        seconds = take_turns(tasks, plan.rounds, f"lite {size}")
        for name, values in seconds.items():
            rows.append(Measurement.milliseconds(name, values))
            rows.append(Measurement.of(name, "frames/s", [1 / value for value in values]))
            if name.endswith(", bf16"):
                rows.append(Measurement.ratio(f"{name} / fp32", values, seconds[name.removesuffix(", bf16")]))
        whole = matchers["fp32"].with_settings(MatcherSettings(max_side=0))
        found = detectors["fp32"].detect(frame)
        crops = ", ".join(f"{r.x1 - r.x0}x{r.y1 - r.y0} enlarged {r.scale:g} times" for r in found.regions)
        notes.append(
            f"{size}: {len(found.boxes)} detections; LSM crops: {crops or 'none'}; "
            f"{len(match_with_cached(whole, whole.encode(image0), image1))} matches at full size"
        )
    return SubjectReport(
        subject="lite",
        conditions="lite variants in fp32 unless said, random weights, from image to detections, or to matches with a "
        "keyframe whose features are cached",
        rows=tuple(rows),
        notes=tuple(notes),
    )


def _variants(
    size: str, detector: Detector, matcher: Matcher, frame: np.ndarray, image0: np.ndarray, image1: np.ndarray
) -> dict[str, Callable[[], object]]:
    """Return what is timed for a frame size, by name."""
    without_lsm = replace(detector, settings=replace(detector.settings, lsm=None))
    reduced, whole = (matcher.with_settings(MatcherSettings(max_side=side)) for side in (MAX_SIDE, 0))
    tasks: dict[str, Callable[[], object]] = {
        f"yolc_lite, {size}, without LSM": partial(without_lsm.detect, frame),
        f"yolc_lite, {size}, with LSM": partial(detector.detect, frame),
        f"loftr_lite, {size}": partial(match_with_cached, whole, whole.encode(image0), image1),
    }
    if max(frame.shape) > MAX_SIDE:
        cached = reduced.encode(image0)
        tasks[f"loftr_lite, {size}, max_side {MAX_SIDE}"] = partial(match_with_cached, reduced, cached, image1)
    return tasks


def match_with_cached(matcher: Matcher, cached: Features, image: np.ndarray) -> Matches:
    """Match an image with the cached features of a keyframe, as the node does for every frame."""
    return matcher.match(cached, matcher.encode(image))
