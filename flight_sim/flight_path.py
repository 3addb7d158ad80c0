"""Smooth seeded flight paths: position, heading, gimbal pitch and roll over time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from flight_sim.camera import camera_pose
from flight_sim.polyline import arc_lengths, points_at

FlightKind = Literal["survey", "orbit", "forward", "loop", "hover"]
_STEP_S = 0.05  # between samples
_CLOSED = ("orbit", "loop")
_DRIFT_M, _SWAY = 0.15, 0.01  # of a hovering drone with satellite positioning, metres and radians (empirical)
_CORNER_SMOOTHING, _ANGLE_SMOOTHING = 31, 21  # samples; empirical


@dataclass(frozen=True)
class FlightPathOptions:
    """`altitude_m` and `speed_mps` on average, both varying by a share `variation`; `pitch_deg`: gimbal, -90 is nadir.

    `line_m`: length of the lines of a survey and of the loop; `spacing_m`: between lines; `radius_m`: of the orbit.
    """

    kind: FlightKind = "survey"
    duration_s: float = 60.0
    altitude_m: float = 50.0
    speed_mps: float = 6.0
    pitch_deg: float = -80.0
    variation: float = 0.12
    line_m: float = 120.0
    spacing_m: float = 30.0
    radius_m: float = 45.0


@dataclass(frozen=True)
class FlightPath:
    """Samples at `stamps` (N,) s: `position` (N, 3) m, and `angles` (N, 3) rad: yaw (unwrapped), pitch, roll."""

    stamps: np.ndarray
    position: np.ndarray
    angles: np.ndarray

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last sample."""
        return float(self.stamps[-1])

    def pose_at(self, stamp_s: float) -> np.ndarray:
        """T_world_camera (4, 4) at a time; the first or last pose outside of the duration."""
        x, y, z = (np.interp(stamp_s, self.stamps, self.position[:, k]) for k in range(3))
        yaw, pitch, roll = (float(np.interp(stamp_s, self.stamps, self.angles[:, k])) for k in range(3))
        return camera_pose(np.array([x, y, z]), yaw, pitch, roll)


def plan_flight_path(
    seed: int, centre: tuple[float, float], floor_m: float, options: FlightPathOptions | None = None
) -> FlightPath:
    """A flight path around `centre` (metres) that stays above `floor_m`.

    survey: parallel lines with turns; orbit: a circle with the camera towards its centre; forward: a winding course
    with the camera ahead; loop: a rounded rectangle that ends at its beginning, with the same heading; hover: a
    third of the time in one place, a third turning there by 180 degrees, then straight ahead.
    """
    options = options or FlightPathOptions()
    rng = np.random.default_rng([seed, 2])
    turn = float(rng.uniform(0.0, 2.0 * math.pi))
    if options.kind == "hover":
        return _hover(rng, turn, centre, floor_m, options)
    line = _smooth(_resampled(_corners(rng, options), options.speed_mps * _STEP_S), _CORNER_SMOOTHING)
    lengths = arc_lengths(line)
    count = max(int(options.duration_s / _STEP_S) + 1, 2)
    speeds = (1.0 + options.variation * _wander(rng, count))[:-1] * options.speed_mps
    travelled = np.concatenate([[0.0], np.cumsum(speeds * _STEP_S)])
    is_closed = options.kind in _CLOSED
    travelled = np.mod(travelled, lengths[-1]) if is_closed else np.minimum(travelled, lengths[-1])
    xy = points_at(line, lengths, travelled)
    if options.kind == "orbit":
        yaw = np.unwrap(np.arctan2(-xy[:, 1], -xy[:, 0]))
    else:
        yaw = _headings(xy, points_at(line, lengths, travelled + 0.5))
    yaw = _smooth(yaw[:, None], _ANGLE_SMOOTHING)[:, 0] + turn + 0.02 * _wander(rng, count)
    cos, sin = math.cos(turn), math.sin(turn)
    xy = xy @ np.array([[cos, sin], [-sin, cos]]) + centre
    z = np.maximum(options.altitude_m * (1.0 + options.variation * _wander(rng, count)), floor_m)
    pitch = np.clip(math.radians(options.pitch_deg) + 0.012 * _wander(rng, count), -math.pi / 2, 0.0)
    roll = 0.01 * _wander(rng, count)
    return FlightPath(
        stamps=np.arange(count) * _STEP_S,
        position=np.column_stack([xy, _smooth(z[:, None], _ANGLE_SMOOTHING)]),
        angles=np.column_stack([yaw, pitch, roll]),
    )


def _hover(
    rng: np.random.Generator, heading: float, centre: tuple[float, float], floor_m: float, options: FlightPathOptions
) -> FlightPath:
    """The path of kind `hover`: it keeps its place up to _DRIFT_M and its attitude up to _SWAY until it flies on."""
    count = max(int(options.duration_s / _STEP_S) + 1, 2)
    thirds = np.linspace(0.0, 3.0, count)
    yaw = heading + math.pi * rng.choice([-1.0, 1.0]) * _ramp(thirds - 1.0)
    flown = np.cumsum(_ramp(2.0 * (thirds - 2.0))) * options.speed_mps * _STEP_S
    drift = _DRIFT_M * np.column_stack([_wander(rng, count) for _ in range(3)])
    sway = _SWAY * np.column_stack([_wander(rng, count) for _ in range(3)])
    ahead = np.array([math.cos(yaw[-1]), math.sin(yaw[-1])])
    position = drift + np.array([*centre, max(options.altitude_m, floor_m + 2 * _DRIFT_M)])
    position[:, :2] += flown[:, None] * ahead
    angles = sway + np.column_stack([yaw, np.full(count, math.radians(options.pitch_deg)), np.zeros(count)])
    angles[:, 1] = np.clip(angles[:, 1], -math.pi / 2, 0.0)
    return FlightPath(np.arange(count) * _STEP_S, position, angles)


def _ramp(x: np.ndarray) -> np.ndarray:
    """A smooth step: 0 up to x = 0, 1 from x = 1 on."""
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * (3.0 - 2.0 * x))


def _headings(xy: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """Unwrapped headings (N,) from positions (N, 2) to the points (N, 2) ahead; where both coincide, the last one."""
    is_moving = np.linalg.norm(ahead - xy, axis=1) > 0.05
    heading = np.arctan2(ahead[:, 1] - xy[:, 1], ahead[:, 0] - xy[:, 0])
    last = np.maximum.accumulate(np.where(is_moving, np.arange(len(xy)), 0))
    return np.unwrap(heading[last])


def _corners(rng: np.random.Generator, options: FlightPathOptions) -> np.ndarray:
    """Corner points (N, 2) of the course, around the origin."""
    if options.kind == "orbit":
        angle = np.linspace(0.0, 2.0 * math.pi, 361)
        return options.radius_m * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    if options.kind == "loop":
        a, b = options.line_m / 2, 0.6 * options.line_m / 2
        return np.array([(0.0, -b), (a, -b), (a, b), (-a, b), (-a, -b), (0.0, -b)])
    length = options.speed_mps * options.duration_s * (1.0 + options.variation) + 10.0
    if options.kind == "forward":
        heading = np.cumsum(rng.normal(0.0, 0.25, max(int(length / 12.0) + 2, 3)))
        steps = 12.0 * np.stack([np.cos(heading), np.sin(heading)], axis=1)
        return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    lines = int(length / (options.line_m + options.spacing_m)) + 1
    points = []
    for k in range(lines):
        ends = (-options.line_m / 2, options.line_m / 2)
        y = (k - (lines - 1) / 2) * options.spacing_m
        points += [(end, y) for end in (ends if k % 2 == 0 else ends[::-1])]
    return np.array(points)


def _resampled(points: np.ndarray, step: float) -> np.ndarray:
    """The polyline sampled every `step` metres."""
    lengths = arc_lengths(points)
    at = np.linspace(0.0, lengths[-1], max(int(lengths[-1] / max(step, 1e-3)), 2))
    return points_at(points, lengths, at)


def _smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Columns of values (N, D) averaged with a Hann window of about `width` samples; the ends are kept."""
    window = np.hanning(2 * width + 1)
    window /= window.sum()
    padded = np.concatenate([np.repeat(values[:1], width, axis=0), values, np.repeat(values[-1:], width, axis=0)])
    return np.stack([np.convolve(column, window, mode="valid") for column in padded.T], axis=1)


def _wander(rng: np.random.Generator, count: int) -> np.ndarray:
    """Slow smooth noise (count,) between about -1 and 1: a few waves of 5 to 40 seconds."""
    stamps = np.arange(count) * _STEP_S
    periods, phases = rng.uniform(5.0, 40.0, 4), rng.uniform(0.0, 2.0 * math.pi, 4)
    return np.sin(2.0 * math.pi * stamps[:, None] / periods + phases).mean(axis=1) * 1.4
