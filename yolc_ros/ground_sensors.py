"""Altitude and tilt of the camera for `scale: ground`: takes messages, returns the view of the ground of an image."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from perception_common.sensors.buffer import StampedBuffer
from perception_common.sensors.messages import (
    altitude_from_float,
    altitude_from_range,
    height_from_fix,
    orientation_from_imu,
)
from perception_common.sensors.readings import Altitude, Orientation, altitude_between, orientation_between
from perception_common.sensors.topics import SensorTopic
from yolc_ros.looks.bands import GroundView

_READINGS = 1000  # that are kept: 2.5 s of an IMU at 400 Hz
_MAX_GAP = 1.0  # seconds between two readings that are interpolated, as in loftr_node


@dataclass(frozen=True)
class GroundSettings:
    """Where altitude and tilt come from.

    altitude: kind of the messages on the topic altitude, a key of `ALTITUDES`. ground_height: of the ground, metres
    above the ellipsoid, for positions of satellites; None: that of the first one. use_imu: tilt from the orientation of
    the images' frame, else from pitch. pitch: degrees of the optical axis above the horizon, -90 is straight down.
    max_age: seconds between a reading and the image.
    """

    altitude: str = "none"
    ground_height: float | None = None
    use_imu: bool = False
    pitch: float = -90.0
    max_age: float = 0.5


class GroundSensors:
    """Keeps the newest altitudes and orientations; thread-safe: callbacks add while a worker reads.

    The add_ methods take messages of rclpy or rosbags and return whether they are usable; unusable ones are counted.
    """

    def __init__(self, settings: GroundSettings):
        self.settings = settings
        self._altitudes: StampedBuffer[Altitude] = StampedBuffer(_READINGS)
        self._orientations: StampedBuffer[Orientation] = StampedBuffer(_READINGS)
        self._lock = threading.Lock()
        self._ignored: Counter[str] = Counter()
        self._first_height: float | None = None  # of the first NavSatFix

    def add_range(self, message: Any) -> bool:
        """Add a sensor_msgs/Range as an altitude."""
        return self._add(self._altitudes, lambda: altitude_from_range(message))

    def add_float(self, message: Any, arrival_ns: int) -> bool:
        """Add a std_msgs/Float64 as an altitude at the time of its arrival."""
        return self._add(self._altitudes, lambda: altitude_from_float(message, arrival_ns))

    def add_fix(self, message: Any) -> bool:
        """Add a sensor_msgs/NavSatFix as an altitude above the ground of the settings, or above the first fix."""
        return self._add(self._altitudes, lambda: self._above_ground(height_from_fix(message)))

    def add_imu(self, message: Any) -> bool:
        """Add the orientation of a sensor_msgs/Imu."""
        return self._add(self._orientations, lambda: orientation_from_imu(message))

    def view(self, stamp_ns: int, camera: Camera, frame_id: str) -> GroundView:
        """Return the view of the ground of an image. Raises InputError, with the cause, where it is unknown."""
        altitude = self._altitudes.between(stamp_ns, altitude_between, _MAX_GAP)
        if altitude is None or altitude.age > self.settings.max_age:
            raise InputError("no altitude of the time of the image; check the topic altitude")
        K = camera.matrix
        down = self._down(stamp_ns, frame_id)
        return GroundView(
            altitude.value.value,
            (float(down[0]), float(down[1]), float(down[2])),
            (float(K[0, 0]), float(K[1, 1])),
            (float(K[0, 2]) + 0.5, float(K[1, 2]) + 0.5),  # boxes count from the corner of the first pixel
        )

    def ignored(self) -> dict[str, int]:
        """Count the unusable messages by reason."""
        with self._lock:
            return dict(self._ignored)

    def _down(self, stamp_ns: int, frame_id: str) -> np.ndarray:
        """Return the direction of gravity (3,) in the optical frame."""
        if not self.settings.use_imu:
            pitch = np.radians(self.settings.pitch)
            return np.array([0.0, np.cos(pitch), -np.sin(pitch)])
        found = self._orientations.between(stamp_ns, orientation_between, _MAX_GAP)
        if found is None or found.age > self.settings.max_age:
            raise InputError("no orientation of the time of the image; check the topic imu")
        if found.value.frame != frame_id:
            raise InputError(
                "the orientation is not that of the camera: use_imu needs messages in the frame of the images, as a "
                "gimbal gives; use gimbal_pitch for a camera that is fixed to the vehicle"
            )
        return -found.value.rotation[2]  # the world's z axis in the optical frame is the last row

    def _add(self, buffer: StampedBuffer[Any], read: Callable[[], Any]) -> bool:
        try:
            reading = read()
        except InputError as error:
            with self._lock:
                self._ignored[str(error)] += 1
            return False
        buffer.add(reading)
        return True

    def _above_ground(self, height: Altitude) -> Altitude:
        with self._lock:
            if self._first_height is None:
                self._first_height = height.value
            ground = self.settings.ground_height
            above = height.value - (self._first_height if ground is None else ground)
        if above <= 0:
            raise InputError("a NavSatFix at or below the height of the ground: nothing to measure with")
        return replace(height, value=above)


ALTITUDES = {
    "range": SensorTopic("altitude", "sensor_msgs/msg/Range", lambda s, m, _: s.add_range(m), 10),
    "float": SensorTopic("altitude", "std_msgs/msg/Float64", lambda s, m, arrival: s.add_float(m, arrival), 10),
    "fix": SensorTopic("altitude", "sensor_msgs/msg/NavSatFix", lambda s, m, _: s.add_fix(m), 10),
}
IMU = SensorTopic("imu", "sensor_msgs/msg/Imu", lambda s, m, _: s.add_imu(m), 100)


def ground_topics(settings: GroundSettings) -> tuple[SensorTopic, ...]:
    """Return the topics that the settings switch on."""
    altitude = (ALTITUDES[settings.altitude],) if settings.altitude in ALTITUDES else ()
    return (*altitude, IMU) if settings.use_imu else altitude
