"""Estimators of the relative pose of a pair, by name, so that every figure names its estimator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from loftr_ros.geometry.opencv_pose import PLAIN_POSE_THRESHOLD, estimate_plain_pose
from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.geometry.two_view.relative_pose import Geometry, TwoViewSettings
from perception_common.cameras.camera import Camera
from perception_common.geometry import inverse, transform

_CONFIDENCE = 0.99999  # of RANSAC, as in LoFTR's evaluation

ESTIMATORS = {
    "opencv": "OpenCV alone: findEssentialMat USAC_MAGSAC, {threshold:g} px, recoverPose",
    "opencv-ransac": "OpenCV as the papers use it: findEssentialMat RANSAC, {threshold:g} px, recoverPose",
    "poselib": "the two-view geometry of loftr_node with poselib, {threshold:g} px",
    "fallback": "the two-view geometry of loftr_node without poselib (OpenCV), {threshold:g} px",
}
"""What each one runs; {threshold} is its inlier threshold in pixels."""

THRESHOLDS = {
    "opencv": PLAIN_POSE_THRESHOLD,
    "opencv-ransac": 0.5,  # as SuperGlue and LoFTR evaluate
    "poselib": PLAIN_POSE_THRESHOLD,
    "fallback": PLAIN_POSE_THRESHOLD,
}
"""Default thresholds, pixels."""


@dataclass(frozen=True)
class PoseEstimator:
    """name: key of ESTIMATORS. threshold: largest reprojection error of an inlier, pixels of the matched images."""

    name: str
    threshold: float

    @property
    def description(self) -> str:
        """What the estimator runs, with its threshold."""
        return ESTIMATORS[self.name].format(threshold=self.threshold)


def choose_estimators(names: Sequence[str], thresholds: Sequence[float] | None = None) -> tuple[PoseEstimator, ...]:
    """Return each estimator with each threshold (pixels); without thresholds each with its default."""
    return tuple(PoseEstimator(name, threshold) for name in names for threshold in thresholds or [THRESHOLDS[name]])


@dataclass(frozen=True, eq=False)
class PoseEstimate:
    """T_ab: (4, 4), points of camera a to camera b, translation of length 1 or 0; None for a failure.

    covariance: (6, 6), of the pose of camera b in camera a, as of `RelativePose`; None: the estimator has none.
    """

    T_ab: np.ndarray | None
    inliers: int
    geometry: Geometry
    covariance: np.ndarray | None = None


FAILED = PoseEstimate(None, 0, Geometry.FAILED)


def estimate_pose(
    points_a: np.ndarray, points_b: np.ndarray, camera_a: Camera, camera_b: Camera, estimator: PoseEstimator
) -> PoseEstimate:
    """Estimate the relative pose from matched pixels (N, 2) of both cameras."""
    if estimator.name in ("opencv", "opencv-ransac"):
        estimate = estimate_plain_pose if estimator.name == "opencv" else _estimate_by_ransac
        found = estimate(points_a, points_b, camera_a.matrix, camera_b.matrix, estimator.threshold)
        if found is None:
            return FAILED
        return PoseEstimate(found[0], int(found[1].sum()), Geometry.GENERAL)
    settings = TwoViewSettings(
        estimator="poselib" if estimator.name == "poselib" else "opencv", threshold=estimator.threshold
    )
    pose = estimate_relative_pose(points_a, points_b, camera_a, camera_b, settings)
    T_ab = None if pose.geometry == Geometry.FAILED else inverse(pose.matrix)
    return PoseEstimate(T_ab, int(pose.inliers.sum()), pose.geometry, pose.covariance)


def _estimate_by_ransac(
    points_a: np.ndarray, points_b: np.ndarray, K_a: np.ndarray, K_b: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Relative pose as SuperGlue and LoFTR evaluate it.

    Of several essential matrices the one with most points in front of both cameras is taken. The threshold (pixels) is
    divided by the mean of the four focal lengths (LoFTR's code counts two of them twice). Returns T_ab (4, 4) and the
    inliers (N,) bool; None without a pose.
    """
    if len(points_a) < 5:
        return None
    rays_a, rays_b = (
        (points - K[[0, 1], [2, 2]]) / K[[0, 1], [0, 1]] for points, K in ((points_a, K_a), (points_b, K_b))
    )
    focal = (K_a[0, 0] + K_a[1, 1] + K_b[0, 0] + K_b[1, 1]) / 4
    E, mask = cv2.findEssentialMat(rays_a, rays_b, np.eye(3), cv2.RANSAC, prob=_CONFIDENCE, threshold=threshold / focal)
    if E is None or len(E) % 3:
        return None
    best: tuple[int, np.ndarray] = (0, np.eye(4))
    for each in np.split(E, len(E) // 3):
        in_front, R, t, *_ = cv2.recoverPose(each, rays_a, rays_b, np.eye(3), 1e9, mask=mask.copy())
        best = max(best, (in_front, transform(R, t)), key=lambda found: found[0])
    return (best[1], mask[:, 0] > 0) if best[0] else None
