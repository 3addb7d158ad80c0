"""Relative poses of the vehicle's base frame from those of the camera that it carries.

The mount T_base_camera (4, 4) is the pose of the camera's optical frame in the base frame.
"""

from __future__ import annotations

import numpy as np

from loftr_ros.geometry.uncertainty.covariance import change_frame
from perception_common.geometry import transform
from perception_common.sensors.mount import parse_mount as parse_mount


def edge_between_bases(
    T: np.ndarray,
    covariance: np.ndarray,
    T_base_camera0: np.ndarray,
    T_base_camera1: np.ndarray | None = None,
    *,
    is_metric: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Transform the pose (4, 4) of the newer camera in the older one and its covariance (6, 6) to those of the base.

    ROS order and convention, see geometry/uncertainty/covariance.py. T_base_camera0, T_base_camera1: mounts at the
    older and the newer image; None for the second: the same, no gimbal. The lever arm of the mount is in metres, so it
    cannot be applied to a pose of unknown scale: the axes of such a pose become those of the base, its origin stays
    that of the camera.
    """
    mounts = [T_base_camera0, T_base_camera0 if T_base_camera1 is None else T_base_camera1]
    if not is_metric:
        mounts = [transform(mount[:3, :3], np.zeros(3)) for mount in mounts]
    return change_frame(T, covariance, mounts[0], mounts[1])
