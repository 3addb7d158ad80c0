"""Settings of the sensors: their accuracy, which detections may move, and how the camera is mounted on the vehicle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from loftr_ros.geometry.scale.depth import CALIBRATION_DEVIATION
from loftr_ros.geometry.scale.limits import ScaleLimits
from loftr_ros.geometry.two_view.relative_pose import TwoViewSettings

VEHICLES_AND_PEOPLE = (
    *("pedestrian", "people", "bicycle", "car", "van", "truck", "tricycle", "awning-tricycle", "bus", "motor"),
)


@dataclass(frozen=True)
class SensorSettings:
    """Accuracy of the sensors. Standard deviations are used where a message does not contain its own.

    altitude_deviation: of an altitude, over its value. altitude_floor: metres, the smallest one.
    altitude_along: direction of an altitude. "gravity": altimeters, and range finders under a level vehicle (the normal
    of the ground plane where gravity is unknown). "beam": a range finder fixed to the camera.
    ground_height: of NavSatFix, metres above the ellipsoid; None: that of the first fix (a start on the ground).
    depth_deviation: calibration of a depth camera, over the depth.
    odometry_deviation: of the distance between two images, over it. odometry_drift: metres after the first metre, grows
    with the square root of the distance.
    gravity_deviation: degrees, of a gimbal pitch or an orientation without covariance. ground_tilt: degrees, of the
    angle between the normal of the ground and gravity.
    max_gap: seconds between two readings to interpolate. sync_slop: seconds between an image and its depth image.
    limits: of the acceptance of a scale.
    """

    altitude_deviation: float = 0.02
    altitude_floor: float = 0.05
    altitude_along: Literal["gravity", "beam"] = "gravity"
    ground_height: float | None = None
    depth_deviation: float = CALIBRATION_DEVIATION
    odometry_deviation: float = 0.01
    odometry_drift: float = 0.02
    gravity_deviation: float = 2.0
    ground_tilt: float = 5.0
    max_gap: float = 1.0
    sync_slop: float = 0.1
    limits: ScaleLimits = field(default_factory=ScaleLimits)

    def __post_init__(self) -> None:
        for name in ("altitude_deviation", "depth_deviation", "gravity_deviation", "ground_tilt", "max_gap"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name):g}")
        for name in ("altitude_floor", "odometry_deviation", "odometry_drift", "sync_slop"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative: {getattr(self, name):g}")


@dataclass(frozen=True)
class DynamicSettings:
    """Which matches count as lying on an object that may move.

    classes: names of the detections. score: the lowest one to use. tolerance: seconds between an image and its
    detections. enlarge, margin: widening of a box at each side, over its sides and in pixels. speed: side lengths of a
    box that its object may travel in a second, by which boxes of detections from another moment grow.
    weight: of such matches in the estimation, 0 (excluded) to 1 (like any other).
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
    """The pose of the camera in the vehicle, and the directions that other sensors measure relative to it.

    T_base_camera: (4, 4), pose of the optical frame in the frame that odometry reports; None: unknown.
    R_imu_camera: (3, 3), rotation of the optical frame in the frame of the orientation (identity for a gimbal that
    reports the camera's own); None: that of T_base_camera. gimbal_pitch: degrees of the optical axis above the horizon,
    -90 is straight down, for a camera without roll; used without an orientation; None: unknown. beam: (3,), direction
    of a range finder's beam in the optical frame. camera_frame: frame_id of the images; odometry and orientation of the
    same frame need no transform.
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
