"""Relative poses of the vehicle's base frame from those of the camera that it carries.

The mount T_base_camera (4, 4) is the pose of the camera's optical frame in the base frame.
"""

from __future__ import annotations

import math

import numpy as np

from loftr_ros.geometry.uncertainty.covariance import change_frame
from perception_common.errors import InputError
from perception_common.geometry import matrix_from_quaternion, transform

_UNIT_TOLERANCE = 0.01  # of the length of a quaternion that a person typed with a few digits


def parse_mount(text: str, option: str = "base_from_optical", *, normalise: bool = False) -> np.ndarray:
    """Return T_base_camera (4, 4) of "x y z qx qy qz qw": metres and a quaternion, separated by blanks or commas.

    option: name of the parameter, for the error. normalise: accept a quaternion of any length but 0; otherwise its
    length must be 1 within 1 %. Raises InputError for any other text.
    """
    try:
        values = [float(cell) for cell in text.replace(",", " ").split()]
    except ValueError:
        values = []
    if len(values) != 7 or not all(map(math.isfinite, values)):
        raise InputError(f"{option} is {text!r}: give seven numbers, x y z qx qy qz qw")
    length = math.sqrt(sum(value**2 for value in values[3:]))
    if length == 0.0 or (abs(length - 1.0) > _UNIT_TOLERANCE and not normalise):
        raise InputError(f"{option} is {text!r}: its quaternion has length {length:.3f}, not 1")
    return transform(matrix_from_quaternion(np.array(values[3:])), np.array(values[:3]))


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
