"""The result of the two-view geometry, and the settings of its estimation."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal

import numpy as np

from loftr_ros.geometry.two_view import thresholds
from loftr_ros.geometry.uncertainty.covariance import unknown_covariance
from perception_common.geometry import transform


class Geometry(enum.IntEnum):
    """Class of a pair; the numbers are those of RelativePose.msg."""

    FAILED = 0
    GENERAL = 1
    PLANAR = 2
    ROTATION_ONLY = 3


@dataclass(frozen=True)
class TwoViewSettings:
    """How a relative pose is estimated.

    estimator: "auto" is poselib where it is installed, else OpenCV's USAC. threshold: inlier threshold, pixels of the
    original images; for noisier matches it grows to 3 sigma. min_inliers: fewer inliers are a failure. planar_ratio:
    inliers of a homography over inliers of the essential matrix from which on a scene counts as planar. seed: of the
    sampling. with_covariance: False leaves the covariance that of an unknown pose, which saves time where only the
    motion counts.
    """

    estimator: Literal["auto", "poselib", "opencv"] = "auto"
    threshold: float = thresholds.INLIER_THRESHOLD
    min_inliers: int = thresholds.MIN_INLIERS
    planar_ratio: float = thresholds.PLANAR_RATIO
    seed: int = 0
    with_covariance: bool = True


DEFAULT_SETTINGS = TwoViewSettings()


@dataclass(frozen=True, eq=False)
class RelativePose:
    """Pose of the newer camera in the older one: p_older = rotation @ p_newer + translation (optical frames).

    rotation: (3, 3) float64. translation: (3,) float64 of length 1, or 0 where none is observed.
    inliers: (N,) bool, the matches that agree with the pose. parallax: degrees, median angle between the two rays of an
    inlier after compensation of the rotation. residual: median Sampson distance of the inliers, pixels. reason: why
    the geometry is not GENERAL, else empty. covariance: (6, 6), convention of uncertainty/covariance.py.
    noise: estimated standard deviation of a pixel coordinate of a match, pixels.
    """

    rotation: np.ndarray
    translation: np.ndarray
    geometry: Geometry
    inliers: np.ndarray
    parallax: float
    residual: float
    reason: str
    covariance: np.ndarray
    noise: float

    @property
    def matrix(self) -> np.ndarray:
        """T (4, 4) with p_older = T p_newer."""
        return transform(self.rotation, self.translation)


def failed_pose(matches: int, reason: str) -> RelativePose:
    """Return the result for a pair without a pose: identity, no inliers, unknown covariance."""
    return RelativePose(
        rotation=np.eye(3),
        translation=np.zeros(3),
        geometry=Geometry.FAILED,
        inliers=np.zeros(matches, bool),
        parallax=0.0,
        residual=0.0,
        reason=reason,
        covariance=unknown_covariance(),
        noise=0.0,
    )
