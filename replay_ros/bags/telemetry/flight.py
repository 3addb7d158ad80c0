"""The telemetry of all pictures of a flight in one local frame, with its uncertainty: what the bag's topics hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from replay_ros.bags.telemetry.local_frame import east_north
from replay_ros.bags.telemetry.readings import Lens, Position, Telemetry

# Standard deviation of a height above the take-off: a barometer drifts by half a metre during a flight, and its scale
# is off by 2 % where the air is warmer or colder than the standard atmosphere by 6 degrees.
BAROMETER_DRIFT, BAROMETER_SCALE = 0.5, 0.02


@dataclass(frozen=True, eq=False)
class FrameTelemetry:
    """What is known of one picture, in the local frame "map": east, north of the first position, up from the take-off.

    position: latitude and longitude. location: (3,) metres in "map", with location_deviations (3,). height: metres
    above the take-off, with height_deviation. rotation: R_enu_optical (3, 3), with rotation_covariance (3, 3), rad^2,
    about the axes of "map". lens: of the camera. All are None where unknown.
    """

    position: Position | None = None
    location: np.ndarray | None = None
    location_deviations: np.ndarray | None = None
    height: float | None = None
    height_deviation: float | None = None
    rotation: np.ndarray | None = None
    rotation_covariance: np.ndarray | None = None
    lens: Lens | None = None

    @property
    def has_pose(self) -> bool:
        """Whether both place and attitude are known."""
        return self.location is not None and self.rotation is not None


class TelemetrySource(Protocol):
    """Knows what the drone says of an image: of photographs by name, of videos by stamp."""

    def at(self, name: str, stamp_ns: int) -> FrameTelemetry | None:
        """Return the telemetry of an image; None: the drone says nothing of it. stamp_ns: nanoseconds."""


def in_local_frame(readings: Mapping[str, Telemetry]) -> dict[str, FrameTelemetry]:
    """Return the telemetry of each picture by its name, in the order of the readings.

    The height in "map" is that above the take-off; where no picture states one, the height above that of the first.
    """
    positions = [each.position for each in readings.values() if each.position is not None]
    origin = positions[0] if positions else None
    base = next((each.altitude for each in positions if each.altitude is not None), 0.0)
    is_relative = any(each.relative_altitude is not None for each in readings.values())
    return {name: _frame(each, origin, None if is_relative else base) for name, each in readings.items()}


def height_deviation(height: float) -> float:
    """Return the standard deviation, metres, of a height above the take-off by barometer."""
    return math.hypot(BAROMETER_DRIFT, BAROMETER_SCALE * height)


def describe(readings: Mapping[str, Telemetry], *, has_camera: bool = False) -> tuple[str, ...]:
    """Return what the user should know about the telemetry of these pictures, one sentence each.

    has_camera: a calibration is given, so that nothing is said of the lens.
    """
    count, all_of = len(readings), list(readings.values())
    cameras = sorted({f"{each.make} {each.model}".strip() for each in all_of} - {""})
    parts = [
        (sum(each.position is not None for each in all_of), "a GPS position"),
        (sum(each.relative_altitude is not None for each in all_of), "an altitude above the take-off"),
        (sum(each.angles is not None for each in all_of), "the attitude of the camera"),
        (sum(each.lens is not None for each in all_of), "a focal length"),
    ]
    known = ", ".join(f"{found} with {what}" for found, what in parts)
    notes = [f"{', '.join(cameras[:3]) or 'a camera that is not named'}, {count} pictures: {known}"]
    lenses = set() if has_camera else {each.lens for each in all_of if each.lens is not None}
    for lens in sorted(lenses, key=lambda lens: lens.focal)[:3]:
        distortion = "" if lens.distortion else ", the distortion is unknown and written as zero"
        notes.append(
            f"camera_info is approximate: the focal length is {lens.focal:.4f} of the longer side, to "
            f"{100 * lens.deviation:.0f} %, by {lens.source}{distortion}"
        )
    if not lenses and not has_camera:
        notes.append("no focal length: camera_info is uncalibrated, so there will be no relative poses; give --camera")
    if parts[1][0]:
        notes.append("altitude counts from the take-off: where the ground lies higher or lower, give --altitude")
    problems: dict[str, list[str]] = {}
    for name, each in readings.items():
        for problem in each.problems:
            problems.setdefault(problem, []).append(name)
    notes += [f"{len(names)} of {count} pictures, as {names[0]}: {problem}" for problem, names in problems.items()]
    return tuple(notes)


def _frame(reading: Telemetry, origin: Position | None, base: float | None) -> FrameTelemetry:
    """Return the telemetry of a picture. base: altitude that counts as 0; None: heights above the take-off count."""
    position, height, angles = reading.position, reading.relative_altitude, reading.angles
    location = deviations = None
    up: float | None = height
    up_deviation = None if height is None else height_deviation(height)
    if base is not None and position is not None and position.altitude is not None:
        up = position.altitude - base
        up_deviation = height_deviation(up)  # of the difference; the datum is the same
    if position is not None and origin is not None and up is not None and up_deviation is not None:
        east, north = east_north(position.latitude, position.longitude, (origin.latitude, origin.longitude))
        location = np.array([east, north, up])
        deviations = np.array([position.deviation, position.deviation, up_deviation])
    covariance = None
    if angles is not None:
        level, yaw = math.radians(angles.level_deviation), math.radians(angles.yaw_deviation)
        covariance = np.diag([level**2, level**2, yaw**2])
    return FrameTelemetry(
        position=position,
        location=location,
        location_deviations=deviations,
        height=height,
        height_deviation=None if height is None else height_deviation(height),
        rotation=None if angles is None else angles.rotation(),
        rotation_covariance=covariance,
        lens=reading.lens,
    )
