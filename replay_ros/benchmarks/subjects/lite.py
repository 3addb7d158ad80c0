"""The lite variants from image to detections and matches, as the nodes run them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from loftr_ros.image_matcher import MatcherSettings
from loftr_ros.matcher import Features, Matcher
from loftr_ros.matches import Matches
from perception_common.backends.devices import choose_device
from replay_ros.benchmarks.measurement import BenchmarkPlan, Measurement, SubjectReport, take_turns
from replay_ros.benchmarks.synthetic import crowded_frame, textured_pair
from replay_ros.benchmarks.untrained import untrained_lite_detector, untrained_loftr

MAX_SIDE = 640  # pixels


def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Time each variant for each frame size."""
    rows: list[Measurement] = []
    notes: list[str] = []
    matcher = Matcher.from_network(untrained_loftr("loftr_lite"), choose_device("cpu"))
    for width, height in plan.frames:
        size = f"{width}x{height}"
        frame = crowded_frame(width, height)
        detector = untrained_lite_detector(frame, plan.detections)
        without_lsm = replace(detector, settings=replace(detector.settings, lsm=None))
        image0, image1 = textured_pair(width, height)
        reduced, whole = (matcher.with_settings(MatcherSettings(max_side=side)) for side in (MAX_SIDE, 0))
        tasks: dict[str, Callable[[], object]] = {
            f"yolc_lite, {size}, without LSM": partial(without_lsm.detect, frame),
            f"yolc_lite, {size}, with LSM": partial(detector.detect, frame),
            f"loftr_lite, {size}": partial(match_with_cached, whole, whole.encode(image0), image1),
        }
        if max(width, height) > MAX_SIDE:
            cached = reduced.encode(image0)
            tasks[f"loftr_lite, {size}, max_side {MAX_SIDE}"] = partial(match_with_cached, reduced, cached, image1)
        for name, seconds in take_turns(tasks, plan.rounds, f"lite {size}").items():
            rows.append(Measurement.milliseconds(name, seconds))
            rows.append(Measurement.of(name, "frames/s", [1 / value for value in seconds]))
        found = detector.detect(frame)
        crops = ", ".join(f"{r.x1 - r.x0}x{r.y1 - r.y0} enlarged {r.scale:g} times" for r in found.regions)
        notes.append(
            f"{size}: {len(found.boxes)} detections; LSM crops: {crops or 'none'}; "
            f"{len(match_with_cached(whole, whole.encode(image0), image1))} matches at full size"
        )
    return SubjectReport(
        subject="lite",
        conditions="lite variants in fp32, random weights, from image to detections, or to matches with a keyframe "
        "whose features are cached",
        rows=tuple(rows),
        notes=tuple(notes),
    )


def match_with_cached(matcher: Matcher, cached: Features, image: np.ndarray) -> Matches:
    """Match an image with the cached features of a keyframe, as the node does for every frame."""
    return matcher.match(cached, matcher.encode(image))
