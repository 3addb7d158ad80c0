"""Edges of a pose graph between the frames that a SLAM back end asks for: from the optical frame to the base.

A mount is T_base_optical, (4, 4): the pose of the camera's optical frame in the frame that carries it.
"""

from __future__ import annotations

import math

import numpy as np

from loftr_ros.geometry.uncertainty.covariance import change_frame
from perception_common.errors import InputError
from perception_common.geometry import matrix_from_quaternion, transform


def parse_mount(text: str) -> np.ndarray:
    """Return T_base_optical (4, 4) of "x y z qx qy qz qw" (metres and a quaternion), apart by blanks or commas.

    Raises InputError for anything else.
    """
    try:
        values = [float(cell) for cell in text.replace(",", " ").split()]
    except ValueError:
        values = []
    if len(values) != 7 or not all(map(math.isfinite, values)):
        raise InputError(f"base_from_optical is {text!r}: give seven numbers, x y z qx qy qz qw")
    length = math.sqrt(sum(value**2 for value in values[3:]))
    if abs(length - 1.0) > 0.01:
        raise InputError(f"base_from_optical is {text!r}: its quaternion has length {length:.3f}, not 1")
    return transform(matrix_from_quaternion(np.array(values[3:])), np.array(values[:3]))


def edge_between_bases(
    T: np.ndarray,
    covariance: np.ndarray,
    T_base_optical: np.ndarray,
    T_newer: np.ndarray | None = None,
    *,
    is_metric: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Turn the pose (4, 4) of the newer camera in the older one, and its covariance (6, 6), into those of the base.

    ROS order and convention, see geometry/covariance.py. T_base_optical: at the older image. T_newer: at the newer
    one, where the mount moves (a gimbal); None for the same. A pose that is not metric cannot be told from where the
    camera sits: its axes become those of the base, its origin stays that of the camera.
    """
    newer = T_base_optical if T_newer is None else T_newer
    if not is_metric:
        T_base_optical, newer = (transform(mount[:3, :3], np.zeros(3)) for mount in (T_base_optical, newer))
    return change_frame(T, covariance, T_base_optical, newer)
