"""Sensor readings as frozen values: stamped, in SI units, without ROS. Treat their arrays as read-only."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from perception_common.sensors.readings import pose_between, stamp_between


@dataclass(frozen=True, eq=False)
class DepthImage:
    """depth: (H, W) float32, metres along z of the camera, NaN for missing depths. frame: of the camera."""

    stamp_ns: int
    depth: np.ndarray
    frame: str = ""


@dataclass(frozen=True, eq=False)
class OdometryPose:
    """T: (4, 4), pose of `child_frame` in `frame`, metres.

    covariance: (6, 6) in ROS order, axes of `frame`; all 0: unknown.
    """

    stamp_ns: int
    T: np.ndarray
    covariance: np.ndarray
    frame: str = ""
    child_frame: str = ""


@dataclass(frozen=True, eq=False)
class DetectedObjects:
    """Objects detected in an image of width x height pixels.

    boxes: (N, 4) float64 x0 y0 x1 y1 in pixels; (0, 0) is the centre of the top left pixel, as for points of matches.
    scores: (N,). names: of their classes.
    """

    stamp_ns: int
    width: int
    height: int
    boxes: np.ndarray
    scores: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        """Count the objects."""
        return len(self.boxes)


def odometry_between(a: OdometryPose, b: OdometryPose, share: float) -> OdometryPose:
    """Pose at `share` (0 to 1) of the time from a to b, at constant velocity."""
    covariance = (1 - share) * a.covariance + share * b.covariance
    return replace(a, stamp_ns=stamp_between(a, b, share), T=pose_between(a.T, b.T, share), covariance=covariance)
