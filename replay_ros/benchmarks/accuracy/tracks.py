"""Tracks through simulated flights: known places matched onward, beside matches from the centres of the cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from flight_sim.flight import CameraOptions, FlightOptions, SimulatedFrame, start_flight
from flight_sim.flight_path import FlightPathOptions
from loftr_ros.frontend import Frontend, FrontendSettings
from loftr_ros.keyframes.policy import KeyframePolicy
from loftr_ros.matcher import Features, Matcher
from loftr_ros.matches import Matches
from loftr_ros.results import PairResult
from perception_common.backends.devices import choose_device
from perception_common.geometry import inverse, pose_error
from replay_ros.benchmarks.measurement import BenchmarkPlan, Check, Measurement, SubjectReport
from replay_ros.benchmarks.synthetic import camera_of
from replay_ros.evaluation.motion.results import TrackFigures
from replay_ros.evaluation.motion.tracks import figures_of_pairs

OVERLAP = 0.8  # of successive keyframes, along the flight
CONTINUED, OBSERVED = 0.75, 0.6  # aims
POSES = 1.05  # aim: median error of the poses, over that without known places
_ALTITUDE_M, _SPEED_MPS, _FIELD_OF_VIEW_DEG, _LINE_M = 50.0, 6.0, 70.0, 400.0


@dataclass(frozen=True, eq=False)
class SharedMatcher(Matcher):
    """A matcher that encodes each image once for several front ends. onward: whether it uses known places."""

    kept: dict[tuple[bytes, int, bool], Features] = field(default_factory=dict)
    onward: bool = True

    def encode(self, gray: np.ndarray, turns: int = 0, *, rough: bool = False) -> Features:
        """Return the features of a gray image (H, W) uint8."""
        key = gray.tobytes(), turns, rough
        if key not in self.kept:
            self.kept[key] = super().encode(gray, turns, rough=rough)
        return self.kept[key]

    def match(
        self, features0: Features, features1: Features, known: np.ndarray | None = None, *, rough: bool = False
    ) -> Matches:
        """Match two images."""
        return super().match(features0, features1, known if self.onward else None, rough=rough)


@dataclass(frozen=True, eq=False)
class Flown:
    """Figures of one flight. pose_deg: errors of the relative poses, the larger of rotation and direction, degrees."""

    tracks: TrackFigures
    pose_deg: np.ndarray


def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Fly each seed with and without known places."""
    loaded = Matcher.load("loftr_lite", "default", choose_device("cpu"))
    onward: list[Flown] = []
    centres: list[Flown] = []
    for seed in plan.track_seeds:
        frames = flight_frames(seed, plan.track_keyframes, plan.track_frame)
        matcher = SharedMatcher(**vars(loaded))
        onward.append(fly(matcher, frames))
        centres.append(fly(replace(matcher, onward=False), frames))
    continued, observed = (
        float(np.mean([getattr(flown.tracks, name) or 0.0 for flown in onward]))
        for name in ("continued_share", "observed_share")
    )
    with_places, without = (float(np.median(np.concatenate([f.pose_deg for f in each]))) for each in (onward, centres))
    return SubjectReport(
        subject="tracks",
        conditions=f"flights of {plan.track_keyframes} keyframes with {100 * OVERLAP:.0f} % overlap, one for each of "
        f"the seeds {', '.join(map(str, plan.track_seeds))}; tracks against the true poses",
        rows=(*_rows("onward", onward), *_rows("from centres", centres)),
        checks=(
            Check(
                "matches that do not continue a track, their point in view before", "aim", 1 - continued, 1 - CONTINUED
            ),
            Check("keyframes that see the point of a track and are not in it", "aim", 1 - observed, 1 - OBSERVED),
            Check("median pose error over that from centres", "aim", with_places / without, POSES),
        ),
    )


def _rows(name: str, flown: Sequence[Flown]) -> list[Measurement]:
    figures = [each.tracks for each in flown]
    columns: Mapping[str, tuple[str, Sequence[float]]] = {
        "continued": ("%", [100 * (each.continued_share or 0.0) for each in figures]),
        "observed over visible": ("%", [100 * (each.observed_share or 0.0) for each in figures]),
        "track length": ("keyframes", [each.mean_length for each in figures]),
        "reprojection": ("px", [each.reprojection_px or 0.0 for each in figures]),
        "pose error": ("deg", np.concatenate([each.pose_deg for each in flown]).tolist()),
    }
    return [Measurement.of(f"{name}, {what}", unit, values) for what, (unit, values) in columns.items()]


def flight_frames(seed: int, count: int, size: tuple[int, int]) -> list[SimulatedFrame]:
    """Render the keyframes of a straight flight; size: (width, height), pixels."""
    width, height = size
    footprint = 2 * _ALTITUDE_M * np.tan(np.radians(_FIELD_OF_VIEW_DEG / 2)) * height / width
    interval = (1 - OVERLAP) * footprint / _SPEED_MPS
    path = FlightPathOptions(
        duration_s=float(count * interval), altitude_m=_ALTITUDE_M, speed_mps=_SPEED_MPS, line_m=_LINE_M
    )
    camera = CameraOptions(width, height, _FIELD_OF_VIEW_DEG)
    flight = start_flight(seed, FlightOptions(path=path, camera=camera, frame_rate_hz=float(1 / interval)))
    return [flight.frame(index) for index in range(count)]


def fly(matcher: Matcher, frames: Sequence[SimulatedFrame]) -> Flown:
    """Run the front end on frames, each of which becomes a keyframe, and measure the tracks."""
    camera = camera_of(frames[0].truth.camera)
    interval = frames[1].stamp_s - frames[0].stamp_s
    policy = KeyframePolicy(max_interval=interval / 2, lost_matches=0, max_bad_seconds=interval / 2)
    frontend = Frontend(matcher, FrontendSettings(policy=policy))
    pairs: list[PairResult] = []
    for frame in frames:
        gray = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
        pairs += frontend.process(round(frame.stamp_s * 1e9), gray, camera).pairs
    poses = {number: frame.truth.T_world_camera for number, frame in enumerate(frames)}
    figures = figures_of_pairs([pair.named for pair in pairs], poses, dict.fromkeys(poses, camera))
    if figures is None:
        raise ValueError("the flight has no tracks: the images are too small to be matched")
    return Flown(figures, np.array([_pose_error(pair, poses) for pair in pairs]))


def _pose_error(pair: PairResult, poses: Mapping[int, np.ndarray]) -> float:
    """Return the larger error of rotation and direction, degrees; a motion without a translation is off by 90."""
    rotation, direction = pose_error(pair.matrix, inverse(poses[pair.older.id]) @ poses[pair.newer.id])
    return max(rotation, 90.0 if math.isnan(direction) else direction)
