"""The metric scale of a unit translation: its value, source and variance, and how it is applied to a pose."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np


class ScaleSource(enum.IntEnum):
    """What the scale was measured with; the numbers are those of RelativePose.msg."""

    UNKNOWN = 0
    ALTITUDE = 1
    DEPTH = 2
    ODOMETRY = 3


@dataclass(frozen=True, eq=False)
class Scale:
    """Length of the translation, metres.

    variance: m^2, of the measurement alone. by_pose: (6,), derivative of the length by the error of the pose (unit
    translation) in ROS order: a scale that was computed from triangulated points is correlated with the pose.
    reason: why the source is UNKNOWN (value 1 then), else empty.
    """

    source: ScaleSource
    value: float
    variance: float
    by_pose: np.ndarray
    reason: str


def unknown_scale(reason: str) -> Scale:
    """Return the scale of a pose without a usable measurement."""
    return Scale(ScaleSource.UNKNOWN, value=1.0, variance=0.0, by_pose=np.zeros(6), reason=reason)


def scaled(translation: np.ndarray, covariance: np.ndarray, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """Apply a scale to a unit translation (3,) and its pose covariance (6, 6), ROS order: metres and m^2.

    With a unit direction u and scale s, the error is dt = s du + u ds, where ds is by_pose x (x the error of the pose)
    plus the error of the measurement. So the unobserved variance along u is replaced by that of the scale. An UNKNOWN
    scale changes nothing.
    """
    if scale.source == ScaleSource.UNKNOWN:
        return translation, covariance
    across = np.eye(6)
    across[:3, :3] -= np.outer(translation, translation)
    jacobian = np.eye(6)
    jacobian[:3, :3] *= scale.value
    jacobian[:3] += np.outer(translation, scale.by_pose)
    jacobian = jacobian @ across
    result = jacobian @ covariance @ jacobian.T
    result[:3, :3] += scale.variance * np.outer(translation, translation)
    return scale.value * translation, result
