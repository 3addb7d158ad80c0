"""Scale from the displacement that odometry measured."""

from __future__ import annotations

import numpy as np

from loftr_ros.geometry.scale.limits import DEFAULT_LIMITS, LengthMeasurement, ScaleLimits, accepted, rejection
from loftr_ros.geometry.scale.result import Scale, ScaleSource, unknown_scale

MAX_ANGLE = np.radians(30.0)  # between odometry and the translation seen (empirical)


def scale_from_odometry(
    translation: np.ndarray,
    displacement: np.ndarray,
    covariance: np.ndarray,
    age: float = 0.0,
    max_angle: float = MAX_ANGLE,
    limits: ScaleLimits = DEFAULT_LIMITS,
) -> Scale:
    """Scale by the length of a displacement.

    translation: (3,), unit length, of the newer camera in the older one. displacement: the same in metres, by odometry,
    with its covariance (3, 3). age: seconds between odometry and its image. The scale is UNKNOWN where the two
    directions differ by more than max_angle, radians.
    """
    length = float(np.linalg.norm(displacement))
    if not np.isfinite(displacement).all() or not np.isfinite(covariance).all():
        return unknown_scale("odometry is not finite")
    if length == 0.0:
        return unknown_scale("odometry measured no motion")
    direction = displacement / length
    deviation = float(np.sqrt(max(direction @ covariance @ direction, 0.0)))
    if reason := rejection(LengthMeasurement(length, deviation, age), "odometry", limits.min_points, limits):
        return unknown_scale(reason)
    angle = float(np.arccos(np.clip(direction @ translation, -1.0, 1.0)))
    if angle > max_angle:
        return unknown_scale(f"odometry points {np.degrees(angle):.0f} degrees away from the motion in the images")
    return accepted(Scale(ScaleSource.ODOMETRY, length, deviation**2, np.zeros(6), reason=""), limits)
