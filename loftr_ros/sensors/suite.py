"""All sensors beside the camera: messages in, what they said at the time of an image out."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from loftr_ros.sensors import messages
from loftr_ros.sensors.buffer import Aged, StampedBuffer
from loftr_ros.sensors.readings import (
    Altitude,
    DepthImage,
    DetectedObjects,
    OdometryPose,
    Orientation,
    altitude_between,
    odometry_between,
    orientation_between,
)
from loftr_ros.sensors.settings import DEFAULT_SENSORS, SensorSettings
from perception_common.errors import InputError

_FAST, _SLOW = 1000, 200  # readings kept of sensors at up to 400 Hz, and of the others
_DEPTH_IMAGES = 12
_CLIMB = 10.0  # m/s; altitudes that differ by more are of ground and roof, and nothing in between is true


@dataclass(frozen=True, eq=False)
class FrameReadings:
    """What the sensors said at the time of an image, each with its age; None where a sensor was never heard."""

    stamp_ns: int
    altitude: Aged[Altitude] | None = None
    depth: Aged[DepthImage] | None = None
    odometry: Aged[OdometryPose] | None = None
    orientation: Aged[Orientation] | None = None
    objects: Aged[DetectedObjects] | None = None


class Sensors:
    """Keeps the newest readings; thread-safe: callbacks add while a worker asks. `settings` may be replaced.

    The add_ methods take messages of ROS (or of rosbags) and say whether they could be used; why not is counted.
    """

    def __init__(self, settings: SensorSettings = DEFAULT_SENSORS):
        self.settings = settings
        self._altitudes: StampedBuffer[Altitude] = StampedBuffer(_SLOW)
        self._depths: StampedBuffer[DepthImage] = StampedBuffer(_DEPTH_IMAGES)
        self._odometry: StampedBuffer[OdometryPose] = StampedBuffer(_SLOW)
        self._orientations: StampedBuffer[Orientation] = StampedBuffer(_FAST)
        self._objects: StampedBuffer[DetectedObjects] = StampedBuffer(_SLOW)
        self._lock = threading.Lock()
        self._ignored: Counter[str] = Counter()
        self._start: float | None = None  # height of the first fix

    def add_range(self, message: Any) -> bool:
        """Take a sensor_msgs/Range as an altitude."""
        return self._add(self._altitudes, lambda: messages.altitude_from_range(message))

    def add_float_altitude(self, message: Any, arrival_ns: int) -> bool:
        """Take a std_msgs/Float64 as an altitude at the time of its arrival."""
        return self._add(self._altitudes, lambda: messages.altitude_from_float(message, arrival_ns))

    def add_fix(self, message: Any) -> bool:
        """Take a sensor_msgs/NavSatFix as an altitude above the ground: the height that is set, or the first fix."""
        return self._add(self._altitudes, lambda: self._above_ground(messages.height_from_fix(message)))

    def add_depth(self, message: Any) -> bool:
        """Take a depth image of the camera, registered to its images (of any size)."""
        return self._add(self._depths, lambda: messages.depth_from_image(message))

    def add_odometry(self, message: Any) -> bool:
        """Take the pose of a nav_msgs/Odometry."""
        return self._add(self._odometry, lambda: messages.pose_from_odometry(message))

    def add_imu(self, message: Any) -> bool:
        """Take the orientation of a sensor_msgs/Imu."""
        return self._add(self._orientations, lambda: messages.orientation_from_imu(message))

    def add_detections(self, message: Any) -> bool:
        """Take a yolc_ros/DetectionArray."""
        return self._add(self._objects, lambda: messages.objects_from_detections(message))

    def at(self, stamp_ns: int, known: FrameReadings | None = None) -> FrameReadings:
        """Return what the sensors say of a stamp; `known` was asked earlier of the same one and is kept where better.

        Ask once when a keyframe is made and again when it is matched: detections and depths may come after the image,
        and the buffers forget what a keyframe still needs.
        """
        gap = self.settings.max_gap
        found = FrameReadings(
            stamp_ns,
            self._altitudes.between(stamp_ns, altitude_between, gap),
            self._depths.nearest(stamp_ns),
            self._odometry.between(stamp_ns, odometry_between, gap),
            self._orientations.between(stamp_ns, orientation_between, gap),
            self._objects.nearest(stamp_ns),
        )
        found = replace(found, altitude=self._steady(stamp_ns, found.altitude))
        if known is None:
            return found
        names = ("altitude", "depth", "odometry", "orientation", "objects")
        return FrameReadings(stamp_ns, **{n: _younger(getattr(known, n), getattr(found, n)) for n in names})

    def ignored(self) -> dict[str, int]:
        """Count the messages that were of no use, by reason."""
        with self._lock:
            return dict(self._ignored)

    def clear(self) -> None:
        """Forget all readings, as when time jumps back; the height of the ground and the counts stay."""
        buffers: tuple[StampedBuffer[Any], ...] = (
            self._altitudes,
            self._depths,
            self._odometry,
            self._orientations,
            self._objects,
        )
        for buffer in buffers:
            buffer.clear()

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
            if self._start is None:
                self._start = height.value
            ground = self.settings.ground_height
            above = height.value - (self._start if ground is None else ground)
        if above <= 0:
            raise InputError("a NavSatFix at or below the height of the ground: nothing to measure with")
        return replace(height, value=above)

    def _steady(self, stamp_ns: int, found: Aged[Altitude] | None) -> Aged[Altitude] | None:
        """Take the nearest altitude instead where its neighbours are of two surfaces."""
        before, after = self._altitudes.neighbours(stamp_ns)
        if before is None or after is None:
            return found
        seconds = (after.stamp_ns - before.stamp_ns) / 1e9
        noise = 8 * self.settings.altitude_deviation * max(before.value, after.value)
        if abs(after.value - before.value) <= _CLIMB * seconds + noise:
            return found
        return self._altitudes.nearest(stamp_ns)


def _younger(a: Aged[Any] | None, b: Aged[Any] | None) -> Aged[Any] | None:
    if a is None or b is None:
        return a or b
    return b if b.age <= a.age else a
