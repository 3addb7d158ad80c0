"""The sensors that both nodes read beside the camera: takes messages of altitude and orientation, keeps readings."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from perception_common.errors import InputError
from perception_common.sensors.buffer import StampedBuffer
from perception_common.sensors.messages import (
    altitude_from_float,
    altitude_from_range,
    height_from_fix,
    orientation_from_imu,
)
from perception_common.sensors.readings import Altitude, Orientation

FIRST_FIX = -10_000.0  # metres; value of the parameters `ground_height` that stands for the height of the first fix


class AltitudeSensors(ABC):
    """Keeps the newest altitudes and orientations; thread-safe: callbacks add while a worker reads.

    The add_ methods take messages of rclpy or rosbags and return whether they are usable; unusable ones are counted.
    altitudes, orientations: number of readings that are kept.
    """

    def __init__(self, *, altitudes: int, orientations: int):
        self._altitudes: StampedBuffer[Altitude] = StampedBuffer(altitudes)
        self._orientations: StampedBuffer[Orientation] = StampedBuffer(orientations)
        self._lock = threading.Lock()
        self._ignored: Counter[str] = Counter()
        self._first_height: float | None = None  # of the first NavSatFix

    @property
    @abstractmethod
    def ground_height(self) -> float | None:
        """Height of the ground above the ellipsoid, metres; None: that of the first NavSatFix."""

    def add_range(self, message: Any) -> bool:
        """Add a sensor_msgs/Range as an altitude."""
        return self._add(self._altitudes, lambda: altitude_from_range(message))

    def add_float_altitude(self, message: Any, arrival_ns: int) -> bool:
        """Add a std_msgs/Float64 as an altitude at the time of its arrival."""
        return self._add(self._altitudes, lambda: altitude_from_float(message, arrival_ns))

    def add_fix(self, message: Any) -> bool:
        """Add a sensor_msgs/NavSatFix as an altitude above `ground_height`, or above the first fix."""
        return self._add(self._altitudes, lambda: self._above_ground(height_from_fix(message)))

    def add_imu(self, message: Any) -> bool:
        """Add the orientation of a sensor_msgs/Imu."""
        return self._add(self._orientations, lambda: orientation_from_imu(message))

    def ignored(self) -> dict[str, int]:
        """Count the unusable messages by reason."""
        with self._lock:
            return dict(self._ignored)

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
            ground = self.ground_height
            above = height.value - (self._first_height if ground is None else ground)
        if above <= 0:
            raise InputError("a NavSatFix at or below the height of the ground: nothing to measure with")
        return replace(height, value=above)
