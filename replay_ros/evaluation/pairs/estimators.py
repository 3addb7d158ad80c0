"""Estimators of the relative pose of a pair, by name, so that a figure always says which one it is of."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from loftr_ros.geometry.opencv_pose import PLAIN_POSE_THRESHOLD, estimate_plain_pose
from loftr_ros.geometry.two_view.estimation import Geometry, TwoViewSettings, estimate_relative_pose
from perception_common.cameras.camera import Camera
from perception_common.geometry import inverse, transform

_CONFIDENCE = 0.99999  # of RANSAC, as in LoFTR's evaluation

ESTIMATORS = {
    "opencv": "OpenCV alone: findEssentialMat USAC_MAGSAC, {threshold:g} px, recoverPose",
    "opencv-ransac": "OpenCV as the papers use it: findEssentialMat RANSAC, {threshold:g} px, recoverPose",
    "poselib": "the two-view geometry of loftr_node with poselib, {threshold:g} px",
    "fallback": "the two-view geometry of loftr_node without poselib (OpenCV), {threshold:g} px",
}
"""What each one is; {threshold} stands for its threshold."""

THRESHOLDS = {
    "opencv": PLAIN_POSE_THRESHOLD,
    "opencv-ransac": 0.5,
    "poselib": PLAIN_POSE_THRESHOLD,
    "fallback": PLAIN_POSE_THRESHOLD,
}
"""Pixels, where none is asked for."""


@dataclass(frozen=True, eq=False)
class PoseEstimate:
    """T_ab: (4, 4), points of camera a to camera b, its translation of length 1 or 0; None for a failure."""

    T_ab: np.ndarray | None
    inliers: int
    geometry: Geometry


FAILED = PoseEstimate(None, 0, Geometry.FAILED)


def describe(estimator: str, threshold: float) -> str:
    """Say what an estimator does with a threshold in pixels."""
    return ESTIMATORS[estimator].format(threshold=threshold)


def estimate_pose(
    points_a: np.ndarray, points_b: np.ndarray, camera_a: Camera, camera_b: Camera, estimator: str, threshold: float
) -> PoseEstimate:
    """Estimate the relative pose from matched pixels (N, 2) of both cameras; threshold: pixels of these images."""
    if estimator in ("opencv", "opencv-ransac"):
        estimate = estimate_plain_pose if estimator == "opencv" else _estimate_by_ransac
        found = estimate(points_a, points_b, camera_a.matrix, camera_b.matrix, threshold)
        if found is None:
            return FAILED
        return PoseEstimate(found[0], int(found[1].sum()), Geometry.GENERAL)
    settings = TwoViewSettings(estimator="poselib" if estimator == "poselib" else "opencv", threshold=threshold)
    pose = estimate_relative_pose(points_a, points_b, camera_a, camera_b, settings)
    T_ab = None if pose.geometry == Geometry.FAILED else inverse(pose.matrix)
    return PoseEstimate(T_ab, int(pose.inliers.sum()), pose.geometry)


def _estimate_by_ransac(
    points_a: np.ndarray, points_b: np.ndarray, K_a: np.ndarray, K_b: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Relative pose as SuperGlue and LoFTR evaluate it; of several essential matrices the one with most points ahead.

    The threshold is divided by the mean of the four focal lengths (LoFTR's code takes two of them twice).
    Returns T_ab (4, 4) and the inliers (N,) bool; None when there is no pose.
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
        ahead, R, t, *_ = cv2.recoverPose(each, rays_a, rays_b, np.eye(3), 1e9, mask=mask.copy())
        best = max(best, (ahead, transform(R, t)), key=lambda found: found[0])
    return (best[1], mask[:, 0] > 0) if best[0] else None
