"""Ids of objects on simulated flights: true boxes, some missed, some false, with noise; with and without camera motion.

The flights move and turn over streets. Their seeds are used for nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flight_sim.classes import CLASS_NAMES
from flight_sim.flight import CameraOptions, FlightOptions, start_flight
from flight_sim.flight_path import FlightKind, FlightPathOptions
from flight_sim.scene import SceneOptions
from replay_ros.benchmarks.measurement import BenchmarkPlan, Check, Measurement, SubjectReport
from replay_ros.evaluation.tracking.metrics import TrackedBoxes, TrackingScores, score_tracking
from yolc_ros.boxes import ScoredBoxes
from yolc_ros.tracking.camera_motion import CameraMotion
from yolc_ros.tracking.tracker import Tracker

MISSED, FALSE, NOISE_PX = 0.2, 0.05, 2.0
_SEEDS = (7101, 7102, 7103)
_COURSES: tuple[tuple[FlightKind, float], ...] = (("survey", -80.0), ("orbit", -60.0), ("forward", -50.0))
_RATE_HZ = 5.0
_SIZE = (960, 540)  # pixels
_CROWD = 500  # objects whose update is timed
_CROWD_ROUNDS = 30


@dataclass(frozen=True, eq=False)
class Recording:
    """A flight as a tracker sees it. truths: boxes with ids. homographies: from the image before, None for unknown."""

    stamps_ns: list[int]
    truths: list[TrackedBoxes]
    homographies: list[np.ndarray | None]


def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Score the ids over flights, and time an image of 500 objects."""
    with_camera: list[TrackingScores] = []
    without: list[TrackingScores] = []
    unknown = images = 0
    for seed, (kind, pitch) in zip(_SEEDS, _COURSES, strict=True):
        recording = record_flight(seed, kind, pitch, images=plan.tracking_images)
        unknown += sum(each is None for each in recording.homographies[1:])
        images += len(recording.truths)
        with_camera.append(score(recording, seed, recording.homographies))
        without.append(score(recording, seed, [np.eye(3)] * len(recording.truths)))
    switches, switches_without = (sum(each.id_switches for each in side) for side in (with_camera, without))
    idf1 = float(np.mean([each.idf1 for each in with_camera]))
    ratio = switches / switches_without if switches_without else float("nan")
    milliseconds = [1e3 * seconds for seconds in time_crowd(_CROWD, _CROWD_ROUNDS)]
    return SubjectReport(
        "tracking",
        f"true boxes of {len(_SEEDS)} simulated flights, {images} images of {_SIZE[0]}x{_SIZE[1]} at {_RATE_HZ:g} images/s; "
        f"{100 * MISSED:.0f} % missed, {100 * FALSE:.0f} % false, {NOISE_PX:g} px of noise",
        rows=(
            Measurement.of("idf1", "", [each.idf1 for each in with_camera]),
            Measurement.of("idf1 without camera motion", "", [each.idf1 for each in without]),
            Measurement.of("hota", "", [each.hota for each in with_camera]),
            Measurement.of("mota", "", [each.mota for each in with_camera]),
            Measurement.of("id_switches", "", [each.id_switches for each in with_camera]),
            Measurement.of("id_switches without camera motion", "", [each.id_switches for each in without]),
            Measurement.of(f"update with {_CROWD} objects", "ms", milliseconds),
        ),
        checks=(
            Check("idf1: shortfall from 0.85", "aim", 0.85 - idf1, 0.0),
            Check("id_switches_ratio", "aim", ratio, 0.5, "x"),
            Check(f"update with {_CROWD} objects", "aim", float(np.median(milliseconds)), 5.0, "ms"),
        ),
        notes=(f"motion of the camera unknown: {unknown} of {images - len(_SEEDS)} images",),
    )


def record_flight(seed: int, kind: FlightKind, pitch_deg: float, images: int) -> Recording:
    """Fly over a street scene; the motion of the camera is measured in the images."""
    options = FlightOptions(
        scene=SceneOptions(),
        path=FlightPathOptions(kind=kind, duration_s=images / _RATE_HZ, pitch_deg=pitch_deg),
        camera=CameraOptions(*_SIZE, distortion=(0.0,) * 5),
        frame_rate_hz=_RATE_HZ,
    )
    flight, camera_motion = start_flight(seed, options), CameraMotion()
    stamps, truths, homographies = [], [], []
    for index in range(min(images, len(flight))):
        frame = flight.frame(index)
        true = frame.truth.boxes.clearly_visible()
        covered = truths[-1].boxes if truths else np.zeros((0, 4))
        homographies.append(camera_motion.update(frame.image, covered))
        stamps.append(round(frame.stamp_s * 1e9))
        truths.append(TrackedBoxes(true.xyxy + 0.5, true.ids.astype(np.int64), true.class_ids.astype(np.int64)))
    return Recording(stamps, truths, homographies)


def score(recording: Recording, seed: int, homographies: Sequence[np.ndarray | None]) -> TrackingScores:
    """Track noisy detections of a recording and score the confirmed tracks that an image shows."""
    rng, tracker = np.random.default_rng([seed, 1]), Tracker(len(CLASS_NAMES))
    found = []
    for stamp_ns, truth, homography in zip(recording.stamps_ns, recording.truths, homographies, strict=True):
        tracks = tracker.update(stamp_ns, noisy(truth, rng), _SIZE, homography)
        shown = tracks.confirmed & (tracks.detections >= 0)
        found.append(TrackedBoxes(tracks.boxes[shown], tracks.ids[shown], tracks.labels[shown]))
    return score_tracking(recording.truths, found)


def noisy(truth: TrackedBoxes, rng: np.random.Generator) -> ScoredBoxes:
    """Return detections as a network makes them of true boxes."""
    seen = rng.random(len(truth.ids)) >= MISSED
    boxes = truth.boxes[seen] + rng.normal(0.0, NOISE_PX, (int(seen.sum()), 4))
    false = rng.random(int(seen.sum())) < FALSE
    sides = (boxes[:, 2:] - boxes[:, :2])[false]
    corners = rng.uniform(0, np.array(_SIZE) * 0.95, (int(false.sum()), 2))
    everything = np.concatenate([boxes, np.concatenate([corners, corners + sides], axis=1)])
    labels = np.concatenate([truth.labels[seen], truth.labels[seen][false]])
    kept = (everything[:, 2:] > everything[:, :2] + 1.0).all(axis=1)
    scores = rng.uniform(0.3, 0.95, len(labels))
    return ScoredBoxes(everything[kept], scores[kept], labels[kept])


def time_crowd(objects: int, rounds: int) -> list[float]:
    """Seconds of each image of `objects` objects that move."""
    rng, tracker, seconds = np.random.default_rng(0), Tracker(1), []
    centres = rng.uniform(0, [3840, 2160], (objects, 2))
    velocities = rng.normal(0, 3.0, (objects, 2))
    scores, labels = np.full(objects, 0.8), np.zeros(objects, np.int64)
    for index in range(rounds):
        centres = centres + velocities
        boxes = np.concatenate([centres - 12, centres + 12], axis=1)
        start = time.perf_counter()
        tracker.update(index * 200_000_000, ScoredBoxes(boxes, scores, labels), (3840, 2160), np.eye(3))
        seconds.append(time.perf_counter() - start)
    return seconds[2:]
