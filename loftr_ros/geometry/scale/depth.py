"""Scale from a depth image: measured depths over triangulated ones."""

from __future__ import annotations

import numpy as np

from loftr_ros.geometry.normal import MAD_TO_SIGMA, MEDIAN_OVER_MEAN_ERROR
from loftr_ros.geometry.scale.limits import DEFAULT_LIMITS, LengthMeasurement, ScaleLimits, accepted, rejection
from loftr_ros.geometry.scale.pose_derivative import derivative_by_pose
from loftr_ros.geometry.scale.result import Scale, ScaleSource, unknown_scale
from loftr_ros.geometry.triangulation import depths

CALIBRATION_DEVIATION = 0.02  # of a depth camera, over the depth
_AGREEMENT = 0.25  # relative difference up to which a depth agrees with the median scale (empirical)


def scale_from_depth(
    x0: np.ndarray,
    x1: np.ndarray,
    rotation: np.ndarray,
    translation: np.ndarray,
    measured: np.ndarray,
    age: float = 0.0,
    relative_deviation: float = CALIBRATION_DEVIATION,
    limits: ScaleLimits = DEFAULT_LIMITS,
) -> Scale:
    """Scale by depths along z of the older camera at the inliers: median ratio of measured to triangulated depth.

    x0, x1: (N, 3) rays of the inliers. rotation, translation: pose of the newer camera in the older one, unit
    translation. measured: (N,) metres; values that are not finite and positive are missing. age: seconds between the
    depth image and the older image. relative_deviation: calibration error of the depth camera over the depth, which
    does not average out.
    """
    z = depths(x0, x1, rotation, translation)[:, 0]
    used = np.isfinite(measured) & (measured > 0) & np.isfinite(z) & (z > 0)
    calibration = LengthMeasurement(1.0, relative_deviation, age)
    if reason := rejection(calibration, "depth image", int(used.sum()), limits):
        return unknown_scale(reason)
    rays0, rays1, target = x0[used], x1[used], measured[used]

    def log_scale(rotation: np.ndarray, translation: np.ndarray) -> float:
        inverse = 1.0 / depths(rays0, rays1, rotation, translation)[:, 0]
        return float(np.log(np.median(target * inverse)))

    value = float(np.exp(log_scale(rotation, translation)))
    off = np.abs(target / (value * z[used]) - 1.0)
    if np.mean(off < _AGREEMENT) < limits.min_agreement:
        return unknown_scale(f"only {100 * np.mean(off < _AGREEMENT):.0f} % of the depths agree on one scale")
    deviation = MEDIAN_OVER_MEAN_ERROR * MAD_TO_SIGMA * float(np.median(off)) / np.sqrt(len(off))
    variance = value**2 * (deviation**2 + relative_deviation**2)
    by_pose = value * derivative_by_pose(log_scale, rotation, translation)
    return accepted(Scale(ScaleSource.DEPTH, value, variance, by_pose, reason=""), limits)
