"""Altitude and tilt of the camera for `scale: ground`: takes messages, returns the view of the ground of an image."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from perception_common.cameras.camera import Camera
from perception_common.errors import InputError
from perception_common.sensors.buffer import Aged
from perception_common.sensors.readings import Orientation, altitude_between, orientation_between
from perception_common.sensors.suite import AltitudeSensors
from perception_common.sensors.topics import ALTITUDES, IMU, SensorTopic
from perception_common.sensors.transform_tree import TransformTree
from yolc_ros.looks.bands import GroundView

READINGS = 1000  # that are kept: 2.5 s of an IMU at 400 Hz
MAX_GAP = 1.0  # seconds between two readings that are interpolated, as in loftr_node


@dataclass(frozen=True, eq=False)
class GroundSettings:
    """Where altitude and tilt come from.

    altitude: kind of the messages on the topic altitude, a key of `ALTITUDES`. ground_height: of the ground, metres
    above the ellipsoid, for positions of satellites; None: that of the first one. use_imu: tilt from the orientation of
    the images' frame, else from pitch. pitch: degrees of the optical axis above the horizon, -90 is straight down.
    max_age: seconds between a reading and the image. mount: T_base_camera (4, 4) of a camera that is fixed to the
    vehicle whose frame the orientation is of; None: it is of the images' frame. attitude_frame: fixed frame of the
    transforms with x to the east and z up, which give the orientation in place of messages; empty: they do not.
    tf_timeout: seconds to wait for a transform that is late.
    """

    altitude: str = "none"
    ground_height: float | None = None
    use_imu: bool = False
    pitch: float = -90.0
    max_age: float = 0.5
    mount: np.ndarray | None = None
    attitude_frame: str = ""
    tf_timeout: float = 0.0


class GroundSensors(AltitudeSensors):
    """The view of the ground from altitudes and orientations, see `AltitudeSensors`. `settings` may be replaced.

    transforms: of /tf and /tf_static, for `attitude_frame`.
    """

    def __init__(self, settings: GroundSettings):
        super().__init__(altitudes=READINGS, orientations=READINGS)
        self.settings = settings
        self.transforms = TransformTree()

    @property
    def ground_height(self) -> float | None:
        """Height of the ground for NavSatFix, of the settings."""
        return self.settings.ground_height

    def view(self, stamp_ns: int, camera: Camera, frame_id: str) -> GroundView:
        """Return the view of the ground of an image. Raises InputError, with the cause, where it is unknown."""
        altitude = self._altitudes.between(stamp_ns, altitude_between, MAX_GAP)
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

    def _down(self, stamp_ns: int, frame_id: str) -> np.ndarray:
        """Return the direction of gravity (3,) in the optical frame."""
        if not (self.settings.use_imu or self.settings.attitude_frame):
            pitch = np.radians(self.settings.pitch)
            return np.array([0.0, np.cos(pitch), -np.sin(pitch)])
        return -self._orientation(stamp_ns, frame_id).value.rotation[2]  # the last row is the world's z axis

    def _orientation(self, stamp_ns: int, frame_id: str) -> Aged[Orientation]:
        """Return the orientation of the optical frame. Raises InputError where it is unknown."""
        if self.settings.attitude_frame:
            return Aged(self._orientation_of_transforms(stamp_ns, frame_id), 0.0)
        found = self._orientations.between(stamp_ns, orientation_between, MAX_GAP)
        if found is None or found.age > self.settings.max_age:
            raise InputError("no orientation of the time of the image; check the topic imu")
        if found.value.frame == frame_id:
            return found
        if self.settings.mount is None:
            raise InputError(
                "the orientation is not that of the camera: use_imu needs messages in the frame of the images, as a "
                "gimbal gives; for a camera that is fixed to the vehicle set base_from_optical, or use gimbal_pitch"
            )
        rotation = found.value.rotation @ self.settings.mount[:3, :3]
        return Aged(replace(found.value, rotation=rotation, frame=frame_id), found.age)

    def _orientation_of_transforms(self, stamp_ns: int, frame_id: str) -> Orientation:
        self.transforms.begin_image(stamp_ns)
        target, timeout = self.settings.attitude_frame, self.settings.tf_timeout
        found = self.transforms.wait(target, frame_id, stamp_ns, timeout)
        if found.T is None:
            raise InputError(f"{found.reason}: no attitude of the camera")
        return Orientation(stamp_ns, found.T[:3, :3], frame=frame_id)


def ground_topics(settings: GroundSettings) -> tuple[SensorTopic, ...]:
    """Return the topics that the settings switch on."""
    altitude = (ALTITUDES[settings.altitude],) if settings.altitude in ALTITUDES else ()
    return (*altitude, IMU) if settings.use_imu else altitude
