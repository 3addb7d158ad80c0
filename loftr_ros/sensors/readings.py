"""What sensors say, as frozen values: stamped, in SI units, without ROS. Matrices and images are never written to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from perception_common.geometry import so3_exp, so3_log, transform


@dataclass(frozen=True)
class Altitude:
    """Height above ground, metres, with its standard deviation; deviation: NaN where the sensor does not say it."""

    stamp_ns: int
    value: float
    deviation: float = float("nan")


@dataclass(frozen=True, eq=False)
class DepthImage:
    """Depths along z of a camera: (H, W) float32, metres, NaN where there is none."""

    stamp_ns: int
    depth: np.ndarray
    frame: str = ""


@dataclass(frozen=True, eq=False)
class OdometryPose:
    """Pose of `child_frame` in `frame`.

    covariance: (6, 6) in ROS order, axes of `frame`; all 0 where it is not known.
    """

    stamp_ns: int
    T: np.ndarray
    covariance: np.ndarray
    frame: str = ""
    child_frame: str = ""


@dataclass(frozen=True, eq=False)
class Orientation:
    """Rotation (3, 3) of `frame` in a world whose z axis points up (ENU, REP-103), with its covariance (3, 3), rad^2.

    covariance: all 0 where it is not known.
    """

    stamp_ns: int
    rotation: np.ndarray
    covariance: np.ndarray = field(default_factory=lambda: np.zeros((3, 3)))
    frame: str = ""


@dataclass(frozen=True, eq=False)
class DetectedObjects:
    """The objects found in an image of width x height pixels.

    boxes: (N, 4) float64 x0 y0 x1 y1 in pixels with (0, 0) at the centre of the top left one, as points of matches
    have it. scores: (N,). names: of the classes.
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


def altitude_between(a: Altitude, b: Altitude, share: float) -> Altitude:
    """Altitude at `share` (0 to 1) of the time from a to b; the errors of both are independent."""
    stamp = round(a.stamp_ns + share * (b.stamp_ns - a.stamp_ns))
    deviation = float(np.hypot((1 - share) * a.deviation, share * b.deviation))
    return Altitude(stamp, (1 - share) * a.value + share * b.value, deviation)


def odometry_between(a: OdometryPose, b: OdometryPose, share: float) -> OdometryPose:
    """Pose at `share` (0 to 1) of the time from a to b, at constant velocity."""
    position = (1 - share) * a.T[:3, 3] + share * b.T[:3, 3]
    rotation = rotation_between(a.T[:3, :3], b.T[:3, :3], share)
    covariance = (1 - share) * a.covariance + share * b.covariance
    stamp = round(a.stamp_ns + share * (b.stamp_ns - a.stamp_ns))
    return replace(a, stamp_ns=stamp, T=transform(rotation, position), covariance=covariance)


def orientation_between(a: Orientation, b: Orientation, share: float) -> Orientation:
    """Orientation at `share` (0 to 1) of the time from a to b, at constant angular velocity."""
    return replace(
        a,
        stamp_ns=round(a.stamp_ns + share * (b.stamp_ns - a.stamp_ns)),
        rotation=rotation_between(a.rotation, b.rotation, share),
        covariance=(1 - share) * a.covariance + share * b.covariance,
    )


def rotation_between(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    """Rotation (3, 3) at `share` of the shortest turn from a to b (slerp)."""
    return a @ so3_exp(share * so3_log(a.T @ b))
