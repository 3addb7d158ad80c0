"""The camera in the world from the messages of the vehicle's sensors."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from perception_common.errors import InputError
from perception_common.geometry import so3_log
from perception_common.sensors.buffer import Aged, StampedBuffer
from perception_common.sensors.messages import position_from_fix
from perception_common.sensors.readings import (
    GeoPosition,
    Orientation,
    altitude_between,
    orientation_between,
    position_between,
)
from perception_common.sensors.topics import ALTITUDES, FIX, IMU, SensorTopic
from yolc_ros.georeference.camera_state import CameraState
from yolc_ros.georeference.errors import ErrorModel
from yolc_ros.georeference.geodesy import LocalFrame
from yolc_ros.georeference.ground import FlatGround, GridGround
from yolc_ros.georeference.height_grid import read_height_grid
from yolc_ros.georeference.projection import Status
from yolc_ros.ground_sensors import MAX_GAP, READINGS, GroundSensors, GroundSettings

_VELOCITY_S, _RATES_S = 1.0, 0.2  # seconds over which velocity and rates are differences of readings (empirical)
_SHORTEST_S = 0.02  # of such differences

ALTITUDE_AND_POSITION = SensorTopic(
    "altitude", "sensor_msgs/msg/NavSatFix", lambda s, m, _: s.add_fix(m) and s.add_position(m), 10
)
"""NavSatFix as altitude gives the position too."""


class UnlocatedError(Exception):
    """Why no object of an image has a position: a status and words."""

    def __init__(self, status: Status, reason: str):
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, eq=False)
class GeoreferenceSettings:
    """How objects are located.

    height_grid: GeoTIFF; None: flat ground below the vehicle. grid_zero: height of the grid's zero above the ellipsoid,
    metres. grid_deviation: of its heights, metres. max_range: metres of horizontal distance.
    """

    errors: ErrorModel = field(default_factory=ErrorModel)
    height_grid: Path | None = None
    grid_zero: float = 0.0
    grid_deviation: float = 2.0
    max_range: float = 1000.0


class PlaceSensors(GroundSensors):
    """Positions beside altitudes and orientations, see `GroundSensors`. `place_settings` may be replaced.

    frame: the local frame, whose origin is the first position; None before it.
    """

    def __init__(self, settings: GroundSettings, place_settings: GeoreferenceSettings | None = None):
        super().__init__(settings)
        self.place_settings = place_settings or GeoreferenceSettings()
        self.frame: LocalFrame | None = None
        self._positions: StampedBuffer[GeoPosition] = StampedBuffer(READINGS)
        self._grid: GridGround | None = None

    def add_position(self, message: Any) -> bool:
        """Add the position of a sensor_msgs/NavSatFix."""
        usable = self._add(self._positions, lambda: position_from_fix(message))
        newest = self._positions.newest
        if self.frame is None and newest is not None:
            self.frame = LocalFrame(newest.latitude, newest.longitude, newest.height)
        return usable

    def state(self, stamp_ns: int, frame_id: str) -> CameraState:
        """Return the camera at the time of an image. Raises UnlocatedError where attitude or ground are unknown.

        Readings that are older than the image are taken as they are, and their covariance grows by what may have
        changed since: velocity times age. Raises InputError for a height grid that cannot be read.
        """
        try:
            orientation = self._orientation(stamp_ns, frame_id)
        except InputError as error:
            raise UnlocatedError(Status.ATTITUDE_UNKNOWN, str(error)) from error
        rotation, rates = orientation.value.rotation, self._rates(stamp_ns, frame_id)
        errors = self.place_settings.errors
        told = rotation.T @ orientation.value.covariance @ rotation  # to the optical frame
        attitude = told if told.any() else math.radians(errors.attitude) ** 2 * np.eye(3)
        attitude = attitude + (orientation.age * np.linalg.norm(rates)) ** 2 * np.eye(3)
        found = self._position(stamp_ns)
        velocity = np.zeros(3) if found is None else found[2]
        ground, height, deviation = self._ground(stamp_ns, found, velocity)
        position = np.array([0.0, 0.0, height]) if found is None else found[0]
        return CameraState(
            position=position,
            rotation=rotation,
            ground=ground,
            follows=self._grid is None and self.settings.altitude != "fix",
            covariance=errors.covariance(
                deviation, attitude=attitude, position=np.zeros((3, 3)) if found is None else found[1]
            ),
            velocity=velocity,
            rates=rates,
            has_position=found is not None,
        )

    def _position(self, stamp_ns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Return position (3,), covariance (3, 3) and velocity (3,) in the local frame; None where it is unknown."""
        found = self._positions.between(stamp_ns, position_between, MAX_GAP)
        if found is None or self.frame is None or found.age > self.settings.max_age:
            return None
        value = found.value
        position = self.frame.to_enu(value.latitude, value.longitude, value.height)
        velocity = self._velocity(stamp_ns)
        known = value.covariance.any()
        covariance = value.covariance if known else self.place_settings.errors.position**2 * np.eye(3)
        return position, covariance + (found.age * np.linalg.norm(velocity)) ** 2 * np.eye(3), velocity

    def _ground(
        self, stamp_ns: int, found: tuple[np.ndarray, np.ndarray, np.ndarray] | None, velocity: np.ndarray
    ) -> tuple[FlatGround | GridGround, float, float]:
        """Return the ground, the camera's height above it, and its standard deviation, metres."""
        settings = self.place_settings
        if settings.height_grid is not None:
            if found is None or self.frame is None:
                raise UnlocatedError(Status.GROUND_UNKNOWN, "a height grid needs the position of the vehicle")
            if self._grid is None:
                self._grid = read_height_grid(settings.height_grid, self.frame, settings.grid_zero)
            return self._grid, math.nan, settings.grid_deviation
        altitude = self._altitudes.between(stamp_ns, altitude_between, MAX_GAP)
        if altitude is None or altitude.age > self.settings.max_age:
            raise UnlocatedError(
                Status.GROUND_UNKNOWN, "no altitude of the time of the image; check the topic altitude"
            )
        value = altitude.value.value
        deviation = altitude.value.deviation
        if math.isnan(deviation) or self.settings.altitude == "fix":  # the receiver knows nothing about the ground
            deviation = settings.errors.altitude * value
        deviation = math.hypot(deviation, altitude.age * velocity[2])
        below = value if found is None else float(found[0][2])
        return FlatGround(below - value), value, deviation

    def _velocity(self, stamp_ns: int) -> np.ndarray:
        """Return the velocity (3,), m/s, over the last second; 0 where there is one position only."""
        earlier, later = (
            self._positions.between(stamp_ns - back, position_between, MAX_GAP)
            for back in (round(_VELOCITY_S * 1e9), 0)
        )
        if earlier is None or later is None or self.frame is None:
            return np.zeros(3)
        seconds = (later.value.stamp_ns - earlier.value.stamp_ns) / 1e9
        if seconds < _SHORTEST_S:
            return np.zeros(3)
        after, before = (self.frame.to_enu(a.latitude, a.longitude, a.height) for a in (later.value, earlier.value))
        return (after - before) / seconds

    def _rates(self, stamp_ns: int, frame_id: str) -> np.ndarray:
        """Return the rates (3,), rad/s, axes of the world; 0 where there is one orientation only."""
        earlier, later = (self._turned(stamp_ns - back, frame_id) for back in (round(_RATES_S * 1e9), 0))
        if earlier is None or later is None:
            return np.zeros(3)
        seconds = (later.value.stamp_ns - earlier.value.stamp_ns) / 1e9
        if seconds < _SHORTEST_S:
            return np.zeros(3)
        return so3_log(later.value.rotation @ earlier.value.rotation.T) / seconds

    def _turned(self, stamp_ns: int, frame_id: str) -> Aged[Orientation] | None:
        """Return the orientation at a stamp, of the camera or of what it is fixed to; None where it is unknown."""
        if not self.settings.attitude_frame:
            return self._orientations.between(stamp_ns, orientation_between, MAX_GAP)
        T = self.transforms.lookup(self.settings.attitude_frame, frame_id, stamp_ns)
        return None if T is None else Aged(Orientation(stamp_ns, T[:3, :3], frame=frame_id), 0.0)


def place_topics(settings: GroundSettings) -> tuple[SensorTopic, ...]:
    """Return the topics of georeferencing: altitude, where it is switched on, position, and orientation.

    Transforms, which may stand for the orientation, are no topic of a sensor.
    """
    attitude = () if settings.attitude_frame else (IMU,)
    if settings.altitude == "fix":
        return (ALTITUDE_AND_POSITION, *attitude)
    altitude = (ALTITUDES[settings.altitude],) if settings.altitude in ALTITUDES else ()
    return (*altitude, FIX, *attitude)
