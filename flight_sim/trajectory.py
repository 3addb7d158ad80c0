"""Smooth seeded flights: position, heading, gimbal pitch and roll over time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from flight_sim.camera import camera_pose

FlightKind = Literal["survey", "orbit", "forward", "loop"]
_STEP_S = 0.05


@dataclass(frozen=True)
class TrajectoryOptions:
    """How a flight runs: `altitude_m` and `speed_mps` on average, both rolling by `roll` (share); `pitch_deg` of the
    gimbal (-90 nadir).
    """

    kind: FlightKind = "survey"
    duration_s: float = 60.0
    altitude_m: float = 50.0
    speed_mps: float = 6.0
    pitch_deg: float = -80.0
    roll: float = 0.12
    line_m: float = 120.0
    spacing_m: float = 30.0
    radius_m: float = 45.0


@dataclass(frozen=True)
class Trajectory:
    """A flight sampled at `stamps` (N,) seconds: `position` (N, 3) metres; `angles` (N, 3) radians: yaw (unwrapped),
    pitch, roll.
    """

    stamps: np.ndarray
    position: np.ndarray
    angles: np.ndarray

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last sample."""
        return float(self.stamps[-1])

    def pose_at(self, stamp_s: float) -> np.ndarray:
        """T_world_camera (4, 4) at a time; before the start and after the end it stands still."""
        x, y, z = (np.interp(stamp_s, self.stamps, self.position[:, k]) for k in range(3))
        yaw, pitch, roll = (float(np.interp(stamp_s, self.stamps, self.angles[:, k])) for k in range(3))
        return camera_pose(np.array([x, y, z]), yaw, pitch, roll)


def fly(seed: int, centre: tuple[float, float], floor_m: float, options: TrajectoryOptions | None = None) -> Trajectory:
    """A flight around `centre` (metres) that stays above `floor_m`.

    survey: parallel lines with turns; orbit: a circle that looks inwards; forward: a winding course that looks ahead;
    loop: a rounded rectangle that ends where it began, with the heading of the beginning.
    """
    options = options or TrajectoryOptions()
    rng = np.random.default_rng([seed, 2])
    turn = float(rng.uniform(0.0, 2.0 * math.pi))
    line, looks_at_centre = _course(rng, options)
    line = _smooth(_even(line, options.speed_mps * _STEP_S), 31)
    count = max(int(options.duration_s / _STEP_S) + 1, 2)
    stamps = np.arange(count) * _STEP_S
    pace = 1.0 + options.roll * _wander(rng, count)
    travelled = np.concatenate([[0.0], np.cumsum(pace[:-1] * options.speed_mps * _STEP_S)])
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    reach = np.concatenate([[0.0], np.cumsum(steps)])
    travelled = np.mod(travelled, reach[-1]) if options.kind in ("orbit", "loop") else np.minimum(travelled, reach[-1])
    xy = np.stack([np.interp(travelled, reach, line[:, k]) for k in (0, 1)], axis=1)
    if looks_at_centre:
        yaw = np.unwrap(np.arctan2(-xy[:, 1], -xy[:, 0]))
    else:
        ahead = np.stack([np.interp(travelled + 0.5, reach, line[:, k]) for k in (0, 1)], axis=1)
        moving = np.linalg.norm(ahead - xy, axis=1) > 0.05
        heading = np.arctan2(ahead[:, 1] - xy[:, 1], ahead[:, 0] - xy[:, 0])
        last = np.maximum.accumulate(np.where(moving, np.arange(count), 0))
        yaw = np.unwrap(heading[last])
    yaw = _smooth(yaw[:, None], 21)[:, 0] + turn + 0.02 * _wander(rng, count)
    cos, sin = math.cos(turn), math.sin(turn)
    xy = xy @ np.array([[cos, sin], [-sin, cos]]) + centre
    z = np.maximum(options.altitude_m * (1.0 + options.roll * _wander(rng, count)), floor_m)
    pitch = np.clip(math.radians(options.pitch_deg) + 0.012 * _wander(rng, count), -math.pi / 2, 0.0)
    roll = 0.01 * _wander(rng, count)
    return Trajectory(stamps, np.column_stack([xy, _smooth(z[:, None], 21)]), np.column_stack([yaw, pitch, roll]))


def _course(rng: np.random.Generator, options: TrajectoryOptions) -> tuple[np.ndarray, bool]:
    """Corner points (N, 2) around the origin, and whether the camera looks at the origin."""
    if options.kind == "orbit":
        angle = np.linspace(0.0, 2.0 * math.pi, 361)
        return options.radius_m * np.stack([np.cos(angle), np.sin(angle)], axis=1), True
    if options.kind == "loop":
        a, b = options.line_m / 2, 0.6 * options.line_m / 2
        return np.array([(0.0, -b), (a, -b), (a, b), (-a, b), (-a, -b), (0.0, -b)]), False
    length = options.speed_mps * options.duration_s * (1.0 + options.roll) + 10.0
    if options.kind == "forward":
        heading = np.cumsum(rng.normal(0.0, 0.25, max(int(length / 12.0) + 2, 3)))
        steps = 12.0 * np.stack([np.cos(heading), np.sin(heading)], axis=1)
        return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)]), False
    lines = int(length / (options.line_m + options.spacing_m)) + 1
    points = []
    for k in range(lines):
        ends = (-options.line_m / 2, options.line_m / 2)
        y = (k - (lines - 1) / 2) * options.spacing_m
        points += [(end, y) for end in (ends if k % 2 == 0 else ends[::-1])]
    return np.array(points), False


def _even(points: np.ndarray, step: float) -> np.ndarray:
    """The polyline sampled every `step` metres."""
    travelled = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.linspace(0.0, travelled[-1], max(int(travelled[-1] / max(step, 1e-3)), 2))
    return np.stack([np.interp(at, travelled, points[:, k]) for k in (0, 1)], axis=1)


def _smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Columns of values (N, D) averaged over a bell of about `width` samples; the ends stay in place."""
    bell = np.hanning(2 * width + 1)
    bell /= bell.sum()
    padded = np.concatenate([np.repeat(values[:1], width, axis=0), values, np.repeat(values[-1:], width, axis=0)])
    return np.stack([np.convolve(column, bell, mode="valid") for column in padded.T], axis=1)


def _wander(rng: np.random.Generator, count: int) -> np.ndarray:
    """Slow smooth noise (count,) between about -1 and 1: a few waves of 5 to 40 seconds."""
    stamps = np.arange(count) * _STEP_S
    periods, phases = rng.uniform(5.0, 40.0, 4), rng.uniform(0.0, 2.0 * math.pi, 4)
    return np.sin(2.0 * math.pi * stamps[:, None] / periods + phases).mean(axis=1) * 1.4
