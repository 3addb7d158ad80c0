"""What a look costs and what it finds: AP50 over processor time, on large simulated views.

The whole image at several scales, with the Local Scale Module of one to four regions, and in uniform slices. All looks
at a view are taken in turn in one process, and their time is told as a ratio to the whole image at full size.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import numpy as np
from tqdm import tqdm

from flight_sim.classes import CLASS_NAMES
from flight_sim.sampling import ViewOptions, sample_view
from perception_common.backends.devices import choose_device
from replay_ros.benchmarks.measurement import BenchmarkPlan, Check, Figure, FigurePoint, Measurement, SubjectReport
from replay_ros.evaluation.detection.evaluate import MAX_DETECTIONS, SMALLEST_SCORE
from replay_ros.evaluation.detection.inference import InferenceMode
from replay_ros.evaluation.detection.metrics import score_detections
from replay_ros.evaluation.detection.protocols import PROTOCOLS, ImageDetections, ImageTruth
from replay_ros.evaluation.detection.slicing import SlicingConfig
from replay_ros.evaluation.detection.truth import choose_classes
from yolc_ros.datasets.simulated import annotated
from yolc_ros.detector import Detections, Detector, DetectorSettings
from yolc_ros.parameters import YolcParameters

SEED = 5_200_000  # of the first view; no setting was chosen with these
ALTITUDE_M = (40.0, 120.0)
SCALES = (0.25, 0.354, 0.5, 0.707, 1.0)
REGIONS = (1, 2, 3, 4)
SLICES = (640,)  # pixels
REFERENCE = ("whole image", "1")
TIME_SHARE = 1 / 3  # of slicing, that the LSM may take

Look = tuple[str, str]  # series and name


def looks() -> dict[Look, InferenceMode]:
    """Return the compared looks."""
    return {
        **{("whole image", f"{scale:g}"): InferenceMode("off", scale=scale) for scale in SCALES},
        **{("LSM", f"k={count}"): InferenceMode("on", regions=count) for count in REGIONS},
        **{("slicing", f"{size}"): InferenceMode("off", SlicingConfig(size, zoom=1.0, merge="nms")) for size in SLICES},
    }


def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Take all looks at each view."""
    settings = DetectorSettings(
        YolcParameters.max_side, score_threshold=SMALLEST_SCORE, scores="raw", max_detections=MAX_DETECTIONS
    )
    detector = Detector.load("yolc_lite", "default", choose_device("cpu"), settings)
    modes = looks()
    found: dict[Look, list[Detections]] = {look: [] for look in modes}
    seconds: dict[Look, list[float]] = {look: [] for look in modes}
    truths = []
    for image, truth in tqdm(views(plan.look_views, plan.look_frame), "looks", plan.look_views, disable=None):
        truths.append(truth)
        for look, mode in modes.items():
            start = time.process_time()
            found[look].append(mode.detect(detector, image))
            seconds[look].append(time.process_time() - start)
    ap50 = {look: average_precision(truths, each) for look, each in found.items()}
    ratios = {look: Measurement.ratio(", ".join(look), each, seconds[REFERENCE]) for look, each in seconds.items()}
    width, height = plan.look_frame
    return SubjectReport(
        subject="looks",
        conditions=f"yolc_lite on {plan.look_views} simulated views of {width}x{height} from {ALTITUDE_M[0]:g} to "
        f"{ALTITUDE_M[1]:g} m, seeds from {SEED}: processor time over that of the whole image at scale 1; LSM after a "
        f"first look at the image reduced to {YolcParameters.max_side} pixels; slices at their own size, and the "
        "reduced image",
        rows=tuple(ratios.values()),
        checks=tuple(_checks(ap50, seconds)),
        figure=Figure(
            "processor time, whole image at scale 1 = 1",
            "AP50, mean of the classes",
            tuple(FigurePoint(*look, ratios[look].median, ap50[look]) for look in modes),
        ),
    )


def _checks(ap50: Mapping[Look, float], seconds: Mapping[Look, list[float]]) -> Iterator[Check]:
    """The LSM of most regions beside each slicing: its share of the time, and what its AP50 lacks."""
    best = ("LSM", f"k={REGIONS[-1]}")
    for look in ap50:
        if look[0] == "slicing":
            against = f"LSM of {REGIONS[-1]} regions against slicing, {look[1]}"
            share = sum(seconds[best]) / sum(seconds[look])
            yield Check(f"{against}: share of its time", "aim", share, TIME_SHARE, "x")
            yield Check(f"{against}: lack of AP50", "aim", ap50[look] - ap50[best], 0.0)


def views(count: int, size: tuple[int, int]) -> Iterator[tuple[np.ndarray, ImageTruth]]:
    """Yield RGB images and their truth, each of a scene of its own. size: (width, height)."""
    for seed in range(SEED, SEED + count):
        frame = sample_view(seed, size, ViewOptions(altitude_m=ALTITUDE_M))
        boxes, hidden = annotated(frame.truth.boxes)
        none, empty = np.zeros(len(hidden), bool), np.zeros((0, 4))
        corners = boxes.xyxy.astype(np.float64) + 0.5  # from pixel centres to continuous coordinates
        yield frame.image, ImageTruth(corners, boxes.class_ids.astype(np.int64), hidden, none, empty)


def average_precision(truths: list[ImageTruth], found: list[Detections]) -> float:
    """Return the mean AP50 of the simulator's classes that are in the truth, protocol coco-500."""
    choice = choose_classes(CLASS_NAMES, found[0].class_names, None)
    of_class = np.array([choice.of_class[name] for name in found[0].class_names], np.int64)
    of_category = np.array([choice.of_category[name] for name in CLASS_NAMES], np.int64)
    scores = score_detections(
        [ImageTruth(t.boxes, of_category[t.labels], t.crowd, t.unscored, t.regions) for t in truths],
        [ImageDetections(each.boxes.astype(np.float64), each.scores, of_class[each.labels]) for each in found],
        choice.classes,
        PROTOCOLS["coco-500"],
    )
    return scores.ap50 or 0.0
