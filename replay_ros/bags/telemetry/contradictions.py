"""What the pictures say against the telemetry: the yaw of the camera, and the focal length with the altitude.

The course over ground by GPS and the direction in which the pictures move tell the yaw of the camera without a compass.
The distance by GPS and that by altitude and focal length tell the product of the two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from perception_common.geometry import so3_exp
from replay_ros.bags.telemetry.flight import FrameTelemetry
from replay_ros.bags.telemetry.lens import BY_SENSOR
from replay_ros.bags.telemetry.pair_motions import PairMotion

CONTRADICTION = 45.0  # degrees of yaw; empirical: compasses are off by less, and flipped gimbals by 180
_STEEP = math.cos(math.radians(30.0))  # tilt from straight down up to which distances are proportional to 1 / focal
_MIN_STEPS = 5  # distances from which the focal length is refined
_SIGMAS = 3.0
_UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, eq=False)
class Checked:
    """The telemetry as it agrees with the pictures, and what was found, one sentence each."""

    frames: dict[str, FrameTelemetry]
    notes: tuple[str, ...]


def check_telemetry(
    frames: Mapping[str, FrameTelemetry], motions: Sequence[PairMotion], *, has_camera: bool = False
) -> Checked:
    """Compare the telemetry of the pictures with their motions; turn a yaw that contradicts them, refine the lens.

    has_camera: a calibration is given, so that the lens stays as it is.
    """
    errors = yaw_errors(frames, motions)
    result = dict(frames)
    wrong = [name for name, error in errors.items() if abs(math.degrees(error)) > CONTRADICTION]
    for name in wrong:
        rotation = frames[name].rotation
        assert rotation is not None
        result[name] = replace(frames[name], rotation=so3_exp(-errors[name] * _UP) @ rotation)
    notes = []
    if wrong:
        degrees = np.degrees([errors[name] for name in wrong])
        notes.append(
            f"the yaw of the camera contradicts the pictures in {len(wrong)} of {len(errors)} checked pictures, by "
            f"{abs(degrees).min():.0f} to {abs(degrees).max():.0f} degrees ({_listed(wrong)}): the yaw that is written "
            "there is the one that course and pictures show"
        )
    elif errors:
        median = math.degrees(float(np.median(list(errors.values()))))
        notes.append(
            f"the yaw of the camera agrees with the pictures in all {len(errors)} checked pictures; median difference: "
            f"{-median:+.1f} degrees clockwise"
        )
    else:
        notes.append("the yaw of the camera was not checked: too few pictures overlap, or positions are too close")
    return Checked(result, tuple(notes)) if has_camera else _with_lens(result, motions, notes)


def yaw_errors(frames: Mapping[str, FrameTelemetry], motions: Sequence[PairMotion]) -> dict[str, float]:
    """Return the stated yaw less the one that course and pictures show, radians counterclockwise, by picture.

    Pictures that follow each other are one run: their motions tell how the error changes, and the courses of all its
    steps what it is. A run without a step that is longer than the uncertainty of its positions has no result.
    """
    errors: dict[str, float] = {}
    for run in _runs(motions):
        changes = np.cumsum([0.0, *(_yaw_change_error(frames, motion) for motion in run)])
        courses = []
        for motion, change in zip(run, changes[:-1], strict=True):
            step = _step(frames, motion)
            stated = frames[motion.older].rotation
            assert stated is not None
            shown = (stated @ motion.direction)[:2]
            if step is not None and np.linalg.norm(shown) > 0.5:  # else it flew up or down
                course = math.atan2(shown[1], shown[0]) - math.atan2(step[1], step[0])
                courses.append(course - change)
        if not courses:
            continue
        first = _circular_median(np.array(courses))
        names = [run[0].older, *(motion.newer for motion in run)]
        errors |= {name: _wrapped(first + change) for name, change in zip(names, changes.tolist(), strict=True)}
    return errors


def focal_ratio(frames: Mapping[str, FrameTelemetry], motions: Sequence[PairMotion]) -> tuple[float, float] | None:
    """Return distances by altitude over those by GPS, the median, and its relative standard deviation; None: too few.

    Seen from above, a distance is altitude times pixels over focal length: the ratio is that of the true focal length
    to the stated one, where the altitude is right. The deviation holds that of the altitude.
    """
    ratios, heights = [], []
    for motion in motions:
        known, step = frames[motion.older], _step(frames, motion)
        is_steep = known.rotation is not None and -known.rotation[2, 2] > _STEEP
        if motion.metres is None or step is None or not is_steep or not known.height or not known.height_deviation:
            continue
        ratios.append(motion.metres / float(np.linalg.norm(step)))
        heights.append(known.height_deviation / known.height)
    if len(ratios) < _MIN_STEPS:
        return None
    logs = np.log(ratios)
    middle = float(np.median(logs))
    scatter = 1.4826 * float(np.median(np.abs(logs - middle)))  # of a normal distribution
    of_median = 1.2533 * scatter / math.sqrt(len(logs))
    return math.exp(middle), math.hypot(of_median, float(np.median(heights)))


def _with_lens(frames: dict[str, FrameTelemetry], motions: Sequence[PairMotion], notes: list[str]) -> Checked:
    """Refine a focal length that all pictures share and that is only known to some percent."""
    lenses = {each.lens for each in frames.values()}
    measured = focal_ratio(frames, motions)
    lens = next(iter(lenses))
    if measured is None or len(lenses) != 1 or lens is None:
        return Checked(frames, tuple(notes))
    ratio, deviation = measured
    if abs(math.log(ratio)) > _SIGMAS * math.hypot(lens.deviation, deviation):
        notes.append(
            f"distances by altitude and focal length are {ratio:.2f} times those by GPS: the ground lies "
            f"{'higher' if ratio > 1 else 'lower'} than the take-off (give --altitude), or the focal length is wrong "
            "(give --camera)"
        )
    elif lens.deviation >= BY_SENSOR:
        share = lens.deviation**2 / (lens.deviation**2 + deviation**2)
        focal = lens.focal * ratio**share
        refined = replace(
            lens,
            focal=focal,
            deviation=lens.deviation * math.sqrt(1.0 - share),
            source=f"{lens.source}, refined by distances of GPS",
        )
        frames = {name: replace(each, lens=refined) for name, each in frames.items()}
        notes.append(
            f"distances by altitude and focal length are {ratio:.3f} times those by GPS: the focal length is refined "
            f"from {lens.focal:.4f} to {focal:.4f} of the longer side"
        )
    return Checked(frames, tuple(notes))


def _runs(motions: Sequence[PairMotion]) -> list[list[PairMotion]]:
    runs: list[list[PairMotion]] = []
    for motion in motions:
        if runs and runs[-1][-1].newer == motion.older:
            runs[-1].append(motion)
        else:
            runs.append([motion])
    return runs


def _yaw_change_error(frames: Mapping[str, FrameTelemetry], motion: PairMotion) -> float:
    """Return how the error of the yaw changes from the older picture to the newer one, radians counterclockwise."""
    older, newer = frames[motion.older].rotation, frames[motion.newer].rotation
    assert older is not None
    assert newer is not None
    difference = newer @ (older @ motion.rotation).T
    return math.atan2(difference[1, 0] - difference[0, 1], difference[0, 0] + difference[1, 1])


def _step(frames: Mapping[str, FrameTelemetry], motion: PairMotion) -> np.ndarray | None:
    """Return the displacement (3,) by GPS, metres, where it is longer than its deviation twice; else None."""
    older, newer = frames[motion.older], frames[motion.newer]
    if older.location is None or newer.location is None or older.location_deviations is None:
        return None
    step = newer.location - older.location
    return step if np.linalg.norm(step[:2]) > 2.0 * older.location_deviations[0] else None


def _circular_median(angles: np.ndarray) -> float:
    """Return the one of the angles (N,), radians, with the least sum of distances to the others."""
    distances = np.abs((angles[:, None] - angles + math.pi) % (2 * math.pi) - math.pi)
    return float(angles[np.argmin(distances.sum(axis=1))])


def _wrapped(angle: float) -> float:
    return (angle + math.pi) % (2 * math.pi) - math.pi


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
