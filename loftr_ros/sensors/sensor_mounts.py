"""How the IMU and the source of odometry sit on the vehicle: what they report becomes that of the base frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from loftr_ros.sensors.camera_mount import CameraMount
from loftr_ros.sensors.readings import OdometryPose
from perception_common.geometry import compose, inverse, skew
from perception_common.sensors.mount import parse_mount
from perception_common.sensors.readings import Orientation
from perception_common.sensors.transform_tree import Missing, TransformLookup


class SensorMounts:
    """The frames of sensors in the base frame: by transforms at the stamp of each reading, where `camera` uses them.

    A frame that no transform joins to the base counts as the base itself. Readings in the frame of the images stay as
    they are: they need no mount. A reading whose transform is not known yet, or never, cannot be used.
    base_from_imu: "x y z qx qy qz qw", pose of the IMU's frame in the base frame, in place of transforms; empty: by
    transforms. Raises InputError for a text that is no mount.
    """

    def __init__(self, base_from_imu: str, camera: CameraMount):
        self._T_base_imu = parse_mount(base_from_imu, "base_from_imu") if base_from_imu else None
        self._camera = camera

    def orientation_in_base(self, orientation: Orientation, camera_frame: str) -> Orientation | None:
        """Return the orientation of the base from that of the IMU; its covariance has the axes of the world."""
        T_base_imu = self._T_base_imu
        if T_base_imu is None:
            found = self._find(orientation.frame, orientation.stamp_ns, camera_frame)
            if found is None:
                return orientation
            T_base_imu = found.T
            if T_base_imu is None:
                return None
        R_imu_base = inverse(T_base_imu)[:3, :3]
        return replace(orientation, rotation=orientation.rotation @ R_imu_base, frame=self._camera.base_frame)

    def odometry_in_base(self, pose: OdometryPose, camera_frame: str) -> OdometryPose | None:
        """Return the pose of the base from that of the frame that odometry reports."""
        found = self._find(pose.child_frame, pose.stamp_ns, camera_frame)
        if found is None:
            return pose
        if found.T is None:
            return None
        T = compose(pose.T, inverse(found.T))
        lever = skew(T[:3, 3] - pose.T[:3, 3])
        errors = np.block([[np.eye(3), -lever], [np.zeros((3, 3)), np.eye(3)]])  # a rotation also moves the base
        covariance = errors @ pose.covariance @ errors.T
        return replace(pose, T=T, covariance=covariance, child_frame=self._camera.base_frame)

    def _find(self, frame: str, stamp_ns: int, camera_frame: str) -> TransformLookup | None:
        """Look a frame up in the base; None where it counts as the base, or needs no mount."""
        if not self._camera.needs_transforms or frame == camera_frame:
            return None
        found = self._camera.find(frame, stamp_ns)
        return None if found.missing is Missing.UNCONNECTED else found
