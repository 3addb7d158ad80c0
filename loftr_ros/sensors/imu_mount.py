"""How the IMU sits on the vehicle: its orientations become those of the base frame."""

from __future__ import annotations

from dataclasses import replace

from loftr_ros.sensors.camera_mount import CameraMount
from perception_common.geometry import inverse
from perception_common.sensors.mount import parse_mount
from perception_common.sensors.readings import Orientation


class ImuMount:
    """The IMU in the base frame: by a parameter, else by static transforms, else with the axes of the base.

    base_from_imu: "x y z qx qy qz qw", pose of the IMU's frame in the base frame; empty: by transforms, where `camera`
    uses them. Raises InputError for a text that is no mount.
    """

    def __init__(self, base_from_imu: str, camera: CameraMount):
        self._T_base_imu = parse_mount(base_from_imu, "base_from_imu") if base_from_imu else None
        self._camera = camera

    def in_base(self, orientation: Orientation) -> Orientation:
        """Return the orientation of the base from that of the IMU; its covariance has the axes of the world."""
        T_base_imu = self._camera.fixed(orientation.frame) if self._T_base_imu is None else self._T_base_imu
        if T_base_imu is None:
            return orientation
        R_imu_base = inverse(T_base_imu)[:3, :3]
        return replace(orientation, rotation=orientation.rotation @ R_imu_base, frame=self._camera.base_frame)
