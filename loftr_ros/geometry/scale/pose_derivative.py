"""Numerical derivative of a scale by the error of the pose that its points were triangulated with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from loftr_ros.geometry.sphere import tangent_basis
from perception_common.geometry import so3_exp

_STEP = 1e-5  # radians, of the central differences


def derivative_by_pose(
    function: Callable[[np.ndarray, np.ndarray], float], rotation: np.ndarray, translation: np.ndarray
) -> np.ndarray:
    """Derivative (6,) of function(rotation, translation) by the error of the pose, ROS order.

    Along the unit translation it is 0: the function's value is that length. Across it, the directions of the
    translation's tangent basis are differentiated.
    """
    result = np.zeros(6)
    for axis in tangent_basis(translation).T:
        ahead, behind = (function(rotation, translation + side * _STEP * axis) for side in (1, -1))
        result[:3] += (ahead - behind) / (2 * _STEP) * axis
    for k, axis in enumerate(np.eye(3)):
        ahead, behind = (function(so3_exp(side * _STEP * axis) @ rotation, translation) for side in (1, -1))
        result[3 + k] = (ahead - behind) / (2 * _STEP)
    return np.nan_to_num(result)
