"""What a drone says about one photograph or one moment of a video, as frozen values; None: it does not say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from perception_common.geometry import so3_exp

Convention = Literal["horizon", "nadir"]

# Optical axes (right, down, forward) in a body frame (forward, right, down), one row each.
_FORWARD_LOOKING = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
_DOWNWARD_LOOKING = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
_ENU_FROM_NED = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])


@dataclass(frozen=True)
class CameraAngles:
    """The attitude of the camera, degrees. source: the tags, in words.

    yaw: clockwise from north. convention: "horizon": pitch is the angle of the optical axis above the horizon, -90 is
    straight down (DJI, Parrot, Autel); "nadir": the angles are those of a vehicle whose camera looks straight down at
    pitch 0 (senseFly and the Pix4D tags).
    level_deviation, yaw_deviation: standard deviations, degrees.
    """

    yaw: float
    pitch: float
    roll: float
    convention: Convention
    source: str
    level_deviation: float
    yaw_deviation: float

    def rotation(self) -> np.ndarray:
        """Return R_enu_optical (3, 3): the optical axes (x right, y down, z forward) in east, north, up."""
        yaw, pitch, roll = np.radians([self.yaw, self.pitch, self.roll])
        about_z, about_y, about_x = (
            so3_exp(angle * axis) for angle, axis in zip((yaw, pitch, roll), np.eye(3)[::-1], strict=True)
        )
        mount = _FORWARD_LOOKING if self.convention == "horizon" else _DOWNWARD_LOOKING
        return _ENU_FROM_NED @ about_z @ about_y @ about_x @ mount


@dataclass(frozen=True)
class Position:
    """Latitude and longitude (WGS 84, degrees), with standard deviations in metres.

    altitude: metres above sea level or the ellipsoid, drones do not say which; None: unknown.
    """

    latitude: float
    longitude: float
    altitude: float | None
    deviation: float
    altitude_deviation: float


@dataclass(frozen=True)
class Lens:
    """What is known of the camera's projection.

    focal: focal length over the longer side of the picture. deviation: its relative standard deviation.
    offset: of the principal point from the middle of the picture, x and y, over the longer side. distortion:
    coefficients k1, k2, p1, p2, k3; empty: none is known. source: in words.
    """

    focal: float
    deviation: float
    source: str
    offset: tuple[float, float] = (0.0, 0.0)
    distortion: tuple[float, ...] = ()


@dataclass(frozen=True)
class Telemetry:
    """Everything that is known of one photograph, or of one moment of a video.

    time_ns: of the picture, nanoseconds of the Unix epoch for photographs (local time where the zone is not stated), or
    from the start of the video. has_fraction: the time is finer than a second. make, model: of the camera.
    relative_altitude: metres above the take-off, with its standard deviation. problems: what was left out, and why.
    """

    time_ns: int | None = None
    has_fraction: bool = False
    make: str = ""
    model: str = ""
    position: Position | None = None
    relative_altitude: float | None = None
    angles: CameraAngles | None = None
    lens: Lens | None = None
    problems: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known that a bag could hold."""
        known = (self.time_ns, self.position, self.relative_altitude, self.angles, self.lens)
        return all(value is None for value in known)
