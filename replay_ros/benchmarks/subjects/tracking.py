"""Ids of objects on simulated flights: true boxes, some missed, some false, with noise; with and without camera motion.

The flights move and turn over streets. Their seeds are used for nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from flight_sim.classes import CLASS_NAMES
from flight_sim.flight import CameraOptions, FlightOptions, start_flight
from flight_sim.flight_path import FlightKind, FlightPathOptions
from flight_sim.scene import SceneOptions
from replay_ros.benchmarks.measurement import BenchmarkPlan, Check, Measurement, SubjectReport
from replay_ros.evaluation.tracking.metrics import TrackedBoxes, TrackingScores, score_tracking
from yolc_ros.boxes import ScoredBoxes
from yolc_ros.tracking.camera_motion import CameraMotion
from yolc_ros.tracking.tracker import ImageInput, Tracker

MISSED, FALSE, NOISE_PX = 0.2, 0.05, 2.0
IDF1, SWITCHES, CROWD_MS = 0.85, 0.5, 5.0  # aims
RATE_HZ = 5.0
_COURSES: tuple[tuple[FlightKind, float], ...] = (("survey", -80.0), ("orbit", -60.0), ("forward", -50.0))
_FIELD_OF_VIEW_DEG, _URBANITY = 60.0, 0.7
_CROWD, _CROWD_ROUNDS = 500, 30  # objects whose update is timed, in so many images
_CROWD_IMAGE = (3840, 2160)  # pixels
_CROWD_BOX, _CROWD_MISSED = 24.0, 0.1  # side, pixels; share


@dataclass(frozen=True, eq=False)
class Recording:
    """A flight as a tracker sees it.

    stamps_ns: of the images. truths: boxes with ids. homographies: from the image before, None for unknown. size: width
    and height, pixels.
    """

    stamps_ns: list[int]
    truths: list[TrackedBoxes]
    homographies: list[np.ndarray | None]
    size: tuple[int, int]

    def every(self, step: int) -> Recording:
        """Return the recording with every step-th image; the homographies are chained."""
        kept = range(0, len(self.stamps_ns), step)
        homographies = [_chained(self.homographies[max(0, k - step + 1) : k + 1]) for k in kept]
        return Recording([self.stamps_ns[k] for k in kept], [self.truths[k] for k in kept], homographies, self.size)


def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Score the ids over flights, and take the processor time of an image of 500 objects."""
    moved: list[TrackingScores] = []
    still: list[TrackingScores] = []
    slow: list[TrackingScores] = []
    unknown = images = 0
    flights = [(seed, *course) for seed in plan.tracking_seeds for course in _COURSES[: plan.tracking_courses]]
    for seed, kind, pitch in tqdm(flights, desc="tracking", unit="flight", leave=False, disable=None):
        recording = record_flight(seed, kind, pitch, plan.tracking_images, plan.tracking_frame)
        unknown += sum(each is None for each in recording.homographies[1:])
        images += len(recording.truths)
        moved.append(score(recording, seed))
        still.append(score(recording, seed, follow_camera=False))
        slow.append(score(recording.every(2), seed))
    switches, switches_still = (sum(each.id_switches for each in side) for side in (moved, still))
    idf1 = float(np.mean([each.idf1 for each in moved]))
    ratio = switches / switches_still if switches_still else float("nan")
    crowd = [1e3 * seconds for seconds in time_crowd(_CROWD, _CROWD_ROUNDS)]
    return SubjectReport(
        "tracking",
        f"true boxes of {len(flights)} simulated flights, {images} images of {plan.tracking_frame[0]}x"
        f"{plan.tracking_frame[1]} at {RATE_HZ:g} images/s; {100 * MISSED:.0f} % missed, {100 * FALSE:.0f} % false, "
        f"{NOISE_PX:g} px of noise; one run is one flight",
        rows=(
            Measurement.of("idf1", "", [each.idf1 for each in moved]),
            Measurement.of("idf1 without camera motion", "", [each.idf1 for each in still]),
            Measurement.of(f"idf1 at {RATE_HZ / 2:g} images/s", "", [each.idf1 for each in slow]),
            Measurement.of("hota", "", [each.hota for each in moved]),
            Measurement.of(f"update with {_CROWD} objects", "ms", crowd),
        ),
        checks=(
            Check(f"idf1: shortfall from {IDF1:g}", "aim", IDF1 - idf1, 0.0),
            Check("id_switches_ratio", "aim", ratio, SWITCHES, "x"),
            Check(f"update with {_CROWD} objects", "aim", float(np.median(crowd)), CROWD_MS, "ms"),
        ),
        notes=(
            f"mean idf1 {idf1:.3f}, mean mota {np.mean([each.mota for each in moved]):.3f}; "
            f"{switches} id switches, {switches_still} without camera motion",
            f"motion of the camera unknown: {unknown} of {images - len(flights)} images",
        ),
    )


def record_flight(seed: int, kind: FlightKind, pitch_deg: float, images: int, size: tuple[int, int]) -> Recording:
    """Fly over a street scene; the motion of the camera is measured in the images. size: of them, pixels."""
    options = FlightOptions(
        scene=SceneOptions(urbanity=_URBANITY),
        path=FlightPathOptions(kind=kind, duration_s=images / RATE_HZ, pitch_deg=pitch_deg),
        camera=CameraOptions(*size, horizontal_fov_deg=_FIELD_OF_VIEW_DEG, distortion=(0.0,) * 5),
        frame_rate_hz=RATE_HZ,
    )
    flight, camera_motion = start_flight(seed, options), CameraMotion()
    stamps: list[int] = []
    truths: list[TrackedBoxes] = []
    homographies: list[np.ndarray | None] = []
    for index in range(min(images, len(flight))):
        frame = flight.frame(index)
        true = frame.truth.boxes.clearly_visible()
        covered = truths[-1].boxes if truths else np.zeros((0, 4))
        homographies.append(camera_motion.update(frame.image, covered))
        stamps.append(round(frame.stamp_s * 1e9))
        truths.append(TrackedBoxes(true.xyxy + 0.5, true.ids.astype(np.int64), true.class_ids.astype(np.int64)))
    return Recording(stamps, truths, homographies, size)


def score(recording: Recording, seed: int, *, follow_camera: bool = True) -> TrackingScores:
    """Track noisy detections of a recording and score the tracks that are present in each image.

    follow_camera: False: as if the camera stood still.
    """
    rng, tracker, found = np.random.default_rng([seed, 1]), Tracker(len(CLASS_NAMES)), []
    for stamp_ns, truth, measured in zip(recording.stamps_ns, recording.truths, recording.homographies, strict=True):
        homography = measured if follow_camera else np.eye(3)
        detections = noisy(truth, recording.size, rng)
        tracks = tracker.update(ImageInput(stamp_ns, detections, recording.size, homography))
        present = tracks.present
        found.append(TrackedBoxes(tracks.boxes[present], tracks.ids[present], tracks.labels[present]))
    return score_tracking(recording.truths, found)


def noisy(truth: TrackedBoxes, size: tuple[int, int], rng: np.random.Generator) -> ScoredBoxes:
    """Return detections as a network makes them of true boxes. size: of the image, pixels."""
    seen = rng.random(len(truth.ids)) >= MISSED
    boxes = truth.boxes[seen] + rng.normal(0.0, NOISE_PX, (int(seen.sum()), 4))
    false = rng.random(len(boxes)) < FALSE
    corners = rng.uniform(0, np.array(size) * 0.95, (int(false.sum()), 2))
    sides = (boxes[:, 2:] - boxes[:, :2])[false]
    everything = np.concatenate([boxes, np.concatenate([corners, corners + sides], axis=1)])
    labels = np.concatenate([truth.labels[seen], truth.labels[seen][false]])
    kept = (everything[:, 2:] > everything[:, :2] + 1.0).all(axis=1)
    scores = rng.uniform(0.3, 0.95, len(labels))  # from the threshold of the node
    return ScoredBoxes(everything[kept], scores[kept], labels[kept])


def time_crowd(objects: int, rounds: int) -> list[float]:
    """Processor seconds of each image of `objects` objects that move; some are missed: tracks are lost and found."""
    rng, tracker, seconds = np.random.default_rng(0), Tracker(1), []
    centres, velocities = rng.uniform(0, _CROWD_IMAGE, (objects, 2)), rng.normal(0, 3.0, (objects, 2))
    for index in range(rounds):
        centres = centres + velocities
        boxes = np.concatenate([centres - _CROWD_BOX / 2, centres + _CROWD_BOX / 2], axis=1)
        boxes = boxes[rng.random(objects) >= _CROWD_MISSED]
        found = ScoredBoxes(boxes, np.full(len(boxes), 0.8), np.zeros(len(boxes), np.int64))
        start = time.thread_time()
        tracker.update(ImageInput(round(index * 1e9 / RATE_HZ), found, _CROWD_IMAGE, np.eye(3)))
        seconds.append(time.thread_time() - start)
    return seconds[2:]  # the first two begin all tracks


def _chained(homographies: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Homography over consecutive images; None where one is unknown."""
    H = np.eye(3)
    for each in homographies:
        if each is None:
            return None
        H = each @ H
    return H
