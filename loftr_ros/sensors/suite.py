"""All sensors beside the camera: takes their messages, returns their readings at the stamp of an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from loftr_ros.sensors import messages
from loftr_ros.sensors.readings import DepthImage, DetectedObjects, OdometryPose, odometry_between
from loftr_ros.sensors.sensor_mounts import SensorMounts
from loftr_ros.sensors.settings import DEFAULT_SENSORS, SensorSettings
from perception_common.cameras.pairing import Partners, SyncSettings
from perception_common.sensors.buffer import Aged, StampedBuffer
from perception_common.sensors.readings import Altitude, Orientation, altitude_between, orientation_between
from perception_common.sensors.suite import AltitudeSensors
from perception_common.stamps import stamp_ns

# Readings that are kept of each sensor: 2.5 s of an IMU at 400 Hz, 4 s at 50 Hz, and few of the large depth images.
_FAST, _SLOW, _DEPTH_IMAGES = 1000, 200, 12
_MAX_CLIMB = 10.0  # m/s; a faster change of altitude is a step from ground to roof, not to be interpolated (empirical)
_CLIMB_SIGMAS = 8  # of altitude noise that such a change must exceed (empirical)

Reading = TypeVar("Reading", Orientation, OdometryPose)


@dataclass(frozen=True, eq=False)
class FrameReadings:
    """The reading of each sensor at the stamp of an image, with its age; None for a sensor without messages."""

    stamp_ns: int
    altitude: Aged[Altitude] | None = None
    depth: Aged[DepthImage] | None = None
    odometry: Aged[OdometryPose] | None = None
    orientation: Aged[Orientation] | None = None
    objects: Aged[DetectedObjects] | None = None


class Sensors(AltitudeSensors):
    """Keeps the newest readings of all sensors, see `AltitudeSensors`.

    settings: may be replaced. mounts: how the sensors sit on the vehicle; None: with the axes of the base.
    """

    def __init__(self, settings: SensorSettings = DEFAULT_SENSORS):
        super().__init__(altitudes=_SLOW, orientations=_FAST)
        self.settings = settings
        self.mounts: SensorMounts | None = None
        self._depths: StampedBuffer[DepthImage] = StampedBuffer(_DEPTH_IMAGES)
        self._odometry: StampedBuffer[OdometryPose] = StampedBuffer(_SLOW)
        self._objects: StampedBuffer[DetectedObjects] = StampedBuffer(_SLOW)
        self._depth_partners = Partners(SyncSettings(slop=settings.sync_slop))

    @property
    def ground_height(self) -> float | None:
        """Height of the ground for NavSatFix, of the settings."""
        return self.settings.ground_height

    def add_depth(self, message: Any) -> bool:
        """Add a depth image, registered to the camera's images, of any size."""
        usable = self._add(self._depths, lambda: messages.depth_from_image(message))
        if usable:
            self._depth_partners.add(stamp_ns(message.header))
        return usable

    def add_odometry(self, message: Any) -> bool:
        """Add the pose of a nav_msgs/Odometry."""
        return self._add(self._odometry, lambda: messages.pose_from_odometry(message))

    def add_detections(self, message: Any) -> bool:
        """Add a yolc_ros/DetectionArray."""
        return self._add(self._objects, lambda: messages.objects_from_detections(message))

    def synchronise(self, sync: SyncSettings) -> None:
        """Pair depth images with images in another way from now on."""
        self._depth_partners = Partners(sync)

    def add_image(self, stamp_ns: int) -> None:
        """Take the stamp of each image when it arrives: a depth image may belong to it."""
        self._depth_partners.add_image(stamp_ns)

    def at(self, stamp_ns: int, camera_frame: str = "", known: FrameReadings | None = None) -> FrameReadings:
        """Return the readings at a stamp; of each sensor the younger of this and of `known`, an earlier result for it.

        camera_frame: frame_id of the image; readings of the same frame stay as they are.
        Call it when a keyframe is made, and again with that result when it is matched: detections and depth images may
        arrive after the image, and the buffers may have dropped what the keyframe needs.
        """
        found = FrameReadings(
            stamp_ns,
            altitude=self._altitude_at(stamp_ns),
            depth=self._depth_at(stamp_ns),
            odometry=self._odometry_at(stamp_ns, camera_frame),
            orientation=self._orientation_at(stamp_ns, camera_frame),
            objects=self._objects.nearest(stamp_ns),
        )
        if known is None:
            return found
        names = ("altitude", "depth", "odometry", "orientation", "objects")
        return FrameReadings(stamp_ns, **{n: _younger(getattr(known, n), getattr(found, n)) for n in names})

    def clear(self) -> None:
        """Drop all readings, for example when time jumps back; the height of the ground and the counts stay."""
        buffers: tuple[StampedBuffer[Any], ...] = (
            self._altitudes,
            self._depths,
            self._odometry,
            self._orientations,
            self._objects,
        )
        for buffer in buffers:
            buffer.clear()

    def _depth_at(self, image_ns: int) -> Aged[DepthImage] | None:
        found = self._depths.nearest(self._depth_partners.of(image_ns))
        return None if found is None else Aged(found.value, abs(found.value.stamp_ns - image_ns) / 1e9)

    def _orientation_at(self, stamp_ns: int, camera_frame: str) -> Aged[Orientation] | None:
        found = self._orientations.between(stamp_ns, orientation_between, self.settings.max_gap)
        return _converted(found, self.mounts.orientation_in_base if self.mounts else None, camera_frame)

    def _odometry_at(self, stamp_ns: int, camera_frame: str) -> Aged[OdometryPose] | None:
        found = self._odometry.between(stamp_ns, odometry_between, self.settings.max_gap)
        return _converted(found, self.mounts.odometry_in_base if self.mounts else None, camera_frame)

    def _altitude_at(self, stamp_ns: int) -> Aged[Altitude] | None:
        """Return the altitude at a stamp; not interpolated between two surfaces, such as ground and roof."""
        before, after = self._altitudes.neighbours(stamp_ns)
        if before is not None and after is not None:
            seconds = (after.stamp_ns - before.stamp_ns) / 1e9
            noise = _CLIMB_SIGMAS * self.settings.altitude_deviation * max(before.value, after.value)
            if abs(after.value - before.value) > _MAX_CLIMB * seconds + noise:
                return self._altitudes.nearest(stamp_ns)
        return self._altitudes.between(stamp_ns, altitude_between, self.settings.max_gap)


def _converted(
    found: Aged[Reading] | None, convert: Callable[[Reading, str], Reading | None] | None, camera_frame: str
) -> Aged[Reading] | None:
    """Bring a reading to the base, of the same age; None where that is not possible. convert: None: as it is."""
    if found is None or convert is None:
        return found
    value = convert(found.value, camera_frame)
    return None if value is None else Aged(value, found.age)


def _younger(a: Aged[Any] | None, b: Aged[Any] | None) -> Aged[Any] | None:
    if a is None or b is None:
        return a or b
    return b if b.age <= a.age else a
