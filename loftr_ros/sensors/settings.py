"""How far sensors are believed, and how they sit beside the camera."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from loftr_ros.geometry.scale.sources import ScaleLimits
from loftr_ros.geometry.two_view.estimation import TwoViewSettings

VEHICLES_AND_PEOPLE = (
    *("pedestrian", "people", "bicycle", "car", "van", "truck", "tricycle", "awning-tricycle", "bus", "motor"),
)


@dataclass(frozen=True)
class SensorSettings:
    """What is believed of the sensors; a deviation is only used where the message does not say it.

    altitude_deviation: standard deviation of an altitude over its value. altitude_floor: metres, the smallest one.
    altitude_along: what an altitude is measured along: "gravity" (altimeters, range finders under a level vehicle;
    the normal of the plane seen where gravity is not known) or "beam" (a range finder fixed to the camera).
    ground_height: of NavSatFix, metres above the ellipsoid; None for that of the first fix (a start on the ground).
    depth_deviation: of a depth camera's calibration, over the depth.
    odometry_deviation: over the way between two images; odometry_drift: metres after the first metre, grows with the
    square root of the way.
    gravity_deviation: degrees, of a known gimbal pitch or an orientation without covariance. level: degrees, how level
    the ground is.
    max_gap: seconds between two readings that are interpolated. limits: when a scale is not believed.
    """

    altitude_deviation: float = 0.02
    altitude_floor: float = 0.05
    altitude_along: Literal["gravity", "beam"] = "gravity"
    ground_height: float | None = None
    depth_deviation: float = 0.02
    odometry_deviation: float = 0.01
    odometry_drift: float = 0.02
    gravity_deviation: float = 2.0
    level: float = 5.0
    max_gap: float = 1.0
    limits: ScaleLimits = field(default_factory=ScaleLimits)

    def __post_init__(self) -> None:
        for name in ("altitude_deviation", "depth_deviation", "gravity_deviation", "level", "max_gap"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name):g}")
        for name in ("altitude_floor", "odometry_deviation", "odometry_drift"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative: {getattr(self, name):g}")


@dataclass(frozen=True)
class DynamicSettings:
    """Which matches count as lying on something that may move.

    classes: names of detections; score: the lowest one that counts. tolerance: seconds between an image and its
    detections. enlarge: of a box, share of its sides, added at each side, and `margin` pixels more. speed: sides of a
    box that its object may move in a second: so much more it grows for detections of another moment.
    weight: of such matches in the estimation, 0 (left out) to 1 (like any other).
    """

    classes: tuple[str, ...] = VEHICLES_AND_PEOPLE
    score: float = 0.3
    tolerance: float = 0.1
    enlarge: float = 0.1
    margin: float = 4.0
    speed: float = 3.0
    weight: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise ValueError(f"weight must be within 0 and 1, not {self.weight:g}")
        for name in ("tolerance", "enlarge", "margin", "speed"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative: {getattr(self, name):g}")


@dataclass(frozen=True, eq=False)
class Mount:
    """How the camera sits on the vehicle; None where it is not known.

    T_base_camera: (4, 4), pose of the optical frame in the frame that odometry moves. R_imu_camera: (3, 3), rotation
    of the optical frame in that of the orientation (identity for a gimbal that reports the camera itself).
    gimbal_pitch: degrees of the optical axis above the horizon, -90 is straight down; used where no orientation is
    there, and taken for free of roll. beam: (3,), direction of a range finder's beam in the optical frame.
    camera_frame: frame_id of the images; odometry and orientation of that very frame need no transform.
    """

    T_base_camera: np.ndarray | None = None
    R_imu_camera: np.ndarray | None = None
    gimbal_pitch: float | None = None
    beam: np.ndarray = field(default_factory=lambda: np.array([0.0, 0.0, 1.0]))
    camera_frame: str = ""


DEFAULT_SENSORS = SensorSettings()
DEFAULT_DYNAMIC = DynamicSettings()
DEFAULT_TWO_VIEW = TwoViewSettings()
UNKNOWN_MOUNT = Mount()
