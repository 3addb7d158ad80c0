"""The lite variants from an image to detections and matches, as the nodes run them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from loftr_ros.image_matcher import MatcherSettings
from loftr_ros.matcher import Features, Matcher
from loftr_ros.matches import Matches
from perception_common.backends.devices import choose_device
from replay_ros.benchmarks.measurement import Measurement, Plan, Report, take_turns
from replay_ros.benchmarks.untrained import crowded_frame, textured_pair, untrained_loftr, untrained_yolc
from yolc_ros.detector import Detector, DetectorSettings
from yolc_ros.preprocessing import place, render

MAX_SIDE = 640


def measure(plan: Plan) -> Report:
    """Time each variant on each size of frame."""
    rows: list[Measurement] = []
    notes: list[str] = []
    matcher = Matcher.from_network(untrained_loftr("loftr_lite"), choose_device("cpu"))
    for width, height in plan.frames:
        size = f"{width}x{height}"
        frame = crowded_frame(width, height)
        detector = lite_detector(frame, plan.detections)
        without = replace(detector, settings=replace(detector.settings, lsm=None))
        image0, image1 = textured_pair(width, height)
        reduced, whole = (matcher.with_settings(MatcherSettings(max_side=side)) for side in (MAX_SIDE, 0))
        tasks: dict[str, Callable[[], object]] = {
            f"yolc_lite, {size}, without LSM": partial(without.detect, frame),
            f"yolc_lite, {size}, with LSM": partial(detector.detect, frame),
            f"loftr_lite, {size}": partial(match_with_kept, whole, whole.encode(image0), image1),
        }
        if max(width, height) > MAX_SIDE:
            kept = reduced.encode(image0)
            tasks[f"loftr_lite, {size}, max_side {MAX_SIDE}"] = partial(match_with_kept, reduced, kept, image1)
        for name, seconds in take_turns(tasks, plan.rounds, f"lite {size}").items():
            rows.append(Measurement.milliseconds(name, seconds))
            rows.append(Measurement.of(name, "frames/s", [1 / value for value in seconds]))
        found = detector.detect(frame)
        looks = ", ".join(f"{r.x1 - r.x0}x{r.y1 - r.y0} enlarged {r.scale:g} times" for r in found.regions)
        notes.append(
            f"{size}: {len(found.boxes)} detections; second look at {looks or 'nothing'}; "
            f"{len(match_with_kept(whole, whole.encode(image0), image1))} matches at full size"
        )
    return Report(
        subject="lite",
        conditions="lite variants in fp32, random weights, from the image to detections, or to matches with a keyframe "
        "whose features are kept",
        rows=tuple(rows),
        notes=tuple(notes),
    )


def match_with_kept(matcher: Matcher, kept: Features, image: np.ndarray) -> Matches:
    """Match an image with a keyframe, as for every frame."""
    return matcher.match(kept, matcher.encode(image))


def lite_detector(frame: np.ndarray, objects: int) -> Detector:
    """A detector of the nodes' defaults that finds about so many objects in the frame."""
    settings = DetectorSettings()
    placed = render(frame, place(frame.shape[1], frame.shape[0]))
    tensor = torch.from_numpy(placed).permute(2, 0, 1)[None]
    network = untrained_yolc("yolc_lite", tensor, objects, settings.score_threshold)
    return Detector.from_network(network, choose_device("cpu"), settings, name="yolc_lite")
