"""Conversion of altitude and orientation messages to readings, by their attributes: imports neither rclpy nor rosbags.

Unusable messages raise InputError. The error texts contain no values, so that a caller can count messages by text.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from perception_common.errors import InputError
from perception_common.geometry import matrix_from_quaternion
from perception_common.sensors.readings import Altitude, GeoPosition, Orientation, is_orientation
from perception_common.stamps import stamp_ns

_NO_FIX = -1  # NavSatStatus.STATUS_NO_FIX
_VERTICAL = 8  # index of the zz entry in a row-major 3x3 covariance (ENU)


def altitude_from_range(message: Any) -> Altitude:
    """Read a sensor_msgs/Range: metres along its beam.

    REP-117: -inf is an object too close, +inf no object within range. Values outside min_range and max_range are no
    measurements either. A `variance` that is missing (older distributions) or 0 is unknown.
    """
    value = float(message.range)
    if math.isnan(value):
        raise InputError("a Range of NaN is an error of the sensor; check the range finder")
    if value == math.inf or value > float(message.max_range):
        raise InputError("a Range beyond max_range: nothing is within reach of the range finder")
    if value == -math.inf or value < float(message.min_range):
        raise InputError("a Range below min_range: the ground is too close for the range finder")
    return _altitude(stamp_ns(message.header), value, float(getattr(message, "variance", 0.0)), "Range")


def altitude_from_float(message: Any, arrival_ns: int) -> Altitude:
    """Read a std_msgs/Float64 or Float32 in metres, such as MAVROS's relative altitude; stamped with its arrival."""
    return _altitude(arrival_ns, float(message.data), 0.0, "altitude")


def height_from_fix(message: Any) -> Altitude:
    """Read a sensor_msgs/NavSatFix: metres above the WGS 84 ellipsoid, not above ground."""
    if int(message.status.status) <= _NO_FIX:
        raise InputError("a NavSatFix without a fix; wait for the satellites")
    value = float(message.altitude)
    if not math.isfinite(value):
        raise InputError("a NavSatFix without an altitude; a fix in three dimensions is needed")
    known = int(message.position_covariance_type) != 0
    variance = float(message.position_covariance[_VERTICAL]) if known else 0.0
    return Altitude(stamp_ns(message.header), value, _deviation(variance))


def position_from_fix(message: Any) -> GeoPosition:
    """Read the position of a sensor_msgs/NavSatFix; a covariance that is invalid or of unknown type is unknown."""
    height = height_from_fix(message)
    latitude, longitude = float(message.latitude), float(message.longitude)
    if not (abs(latitude) <= 90.0 and abs(longitude) <= 180.0):
        raise InputError("a NavSatFix whose latitude or longitude is none; check the receiver")
    known = int(message.position_covariance_type) != 0
    covariance = covariance_of(message.position_covariance, 3) if known else np.zeros((3, 3))
    return GeoPosition(height.stamp_ns, latitude, longitude, height.value, covariance)


def orientation_from_imu(message: Any) -> Orientation:
    """Read the orientation of a sensor_msgs/Imu; orientation_covariance[0] = -1 marks one without orientation."""
    if float(message.orientation_covariance[0]) == -1.0:
        raise InputError("an Imu without an orientation (orientation_covariance[0] is -1); run an attitude filter")
    rotation = rotation_of(message.orientation, "an Imu")
    covariance = covariance_of(message.orientation_covariance, 3)
    return Orientation(stamp_ns(message.header), rotation, covariance, str(message.header.frame_id))


def _altitude(stamp: int, value: float, variance: float, name: str) -> Altitude:
    if not math.isfinite(value):
        raise InputError(f"the {name} is not finite; check the altimeter")
    if value <= 0:
        raise InputError(f"the {name} is not above ground: 0 or less; check the altimeter and its reference height")
    return Altitude(stamp, value, _deviation(variance))


def _deviation(variance: float) -> float:
    return math.sqrt(variance) if math.isfinite(variance) and variance > 0 else math.nan


def rotation_of(orientation: Any, name: str) -> np.ndarray:
    """Return the rotation (3, 3) of a geometry_msgs/Quaternion. Raises InputError, naming `name`, for an unset one."""
    q = np.array([orientation.x, orientation.y, orientation.z, orientation.w], np.float64)
    if not is_orientation(q):
        raise InputError(f"{name} whose orientation is no quaternion of length 1; check the state estimator")
    return matrix_from_quaternion(q)


def covariance_of(values: Any, size: int) -> np.ndarray:
    """Return the (size, size) covariance; 0 if it is invalid: not finite, or not positive semidefinite."""
    covariance: np.ndarray = np.array(values, np.float64).reshape(size, size)
    covariance = (covariance + covariance.T) / 2
    if not np.isfinite(covariance).all() or np.linalg.eigvalsh(covariance).min() < -1e-9 * max(1.0, covariance.max()):
        return np.zeros((size, size))
    return covariance
