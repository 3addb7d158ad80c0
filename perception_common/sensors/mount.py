"""The mount of a camera on its vehicle, as users write it.

The mount T_base_camera (4, 4) is the pose of the camera's optical frame in the base frame.
"""

from __future__ import annotations

import math

import numpy as np

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
