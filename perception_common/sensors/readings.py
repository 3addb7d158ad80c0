"""Altitude and orientation as frozen values: stamped, in SI units, without ROS. Treat their arrays as read-only."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from perception_common.geometry import so3_exp, so3_log, transform
from perception_common.sensors.buffer import Stamped


@dataclass(frozen=True)
class Altitude:
    """Height above ground and its standard deviation, metres; deviation: NaN if the sensor does not report it."""

    stamp_ns: int
    value: float
    deviation: float = float("nan")


@dataclass(frozen=True, eq=False)
class Orientation:
    """rotation: (3, 3), of `frame` in a world whose z axis points up (ENU, REP-103).

    covariance: (3, 3), rad^2; all 0: unknown.
    """

    stamp_ns: int
    rotation: np.ndarray
    covariance: np.ndarray = field(default_factory=lambda: np.zeros((3, 3)))
    frame: str = ""


@dataclass(frozen=True, eq=False)
class GeoPosition:
    """A place on the WGS 84 ellipsoid: latitude and longitude, degrees, and height above it, metres.

    covariance: (3, 3), east, north, up, m^2; all 0: unknown.
    """

    stamp_ns: int
    latitude: float
    longitude: float
    height: float
    covariance: np.ndarray = field(default_factory=lambda: np.zeros((3, 3)))


def altitude_between(a: Altitude, b: Altitude, share: float) -> Altitude:
    """Altitude at `share` (0 to 1) of the time from a to b, for independent errors of a and b."""
    deviation = float(np.hypot((1 - share) * a.deviation, share * b.deviation))
    return Altitude(stamp_between(a, b, share), (1 - share) * a.value + share * b.value, deviation)


def orientation_between(a: Orientation, b: Orientation, share: float) -> Orientation:
    """Orientation at `share` (0 to 1) of the time from a to b, at constant angular velocity."""
    return replace(
        a,
        stamp_ns=stamp_between(a, b, share),
        rotation=rotation_between(a.rotation, b.rotation, share),
        covariance=(1 - share) * a.covariance + share * b.covariance,
    )


def position_between(a: GeoPosition, b: GeoPosition, share: float) -> GeoPosition:
    """Position at `share` (0 to 1) of the time from a to b, at constant velocity; not across the antimeridian."""
    return GeoPosition(
        stamp_ns=stamp_between(a, b, share),
        latitude=(1 - share) * a.latitude + share * b.latitude,
        longitude=(1 - share) * a.longitude + share * b.longitude,
        height=(1 - share) * a.height + share * b.height,
        covariance=(1 - share) * a.covariance + share * b.covariance,
    )


def stamp_between(a: Stamped, b: Stamped, share: float) -> int:
    """Stamp, nanoseconds, at `share` (0 to 1) of the time from a to b."""
    return round(a.stamp_ns + share * (b.stamp_ns - a.stamp_ns))


def rotation_between(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    """Rotation (3, 3) at `share` (0 to 1) of the shortest rotation from a to b (slerp)."""
    return a @ so3_exp(share * so3_log(a.T @ b))


def pose_between(Ta: np.ndarray, Tb: np.ndarray, share: float) -> np.ndarray:
    """Pose (4, 4) at `share` (0 to 1) of the way from Ta to Tb, at constant velocity."""
    position = (1 - share) * Ta[:3, 3] + share * Tb[:3, 3]
    return transform(rotation_between(Ta[:3, :3], Tb[:3, :3], share), position)


def is_orientation(quaternion: np.ndarray) -> bool:
    """Whether a quaternion (x, y, z, w) of a message is set: not zeros or NaN, but of a length near 1."""
    return bool(0.5 < np.linalg.norm(quaternion) < 2.0)
