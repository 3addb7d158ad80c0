"""The relative pose by OpenCV alone, a baseline without our two-view geometry."""

from __future__ import annotations

import cv2
import numpy as np

from perception_common.geometry import transform

PLAIN_POSE_THRESHOLD = 1.0  # pixels of the matched images; the published figures (docs/evaluation.md) are with it
_CONFIDENCE = 0.99999  # as in the evaluation of LoFTR


def estimate_plain_pose(
    points_a: np.ndarray,
    points_b: np.ndarray,
    K_a: np.ndarray,
    K_b: np.ndarray,
    threshold: float = PLAIN_POSE_THRESHOLD,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Estimate the relative pose with findEssentialMat (USAC_MAGSAC) and recoverPose, comparable with other projects.

    points_a, points_b: (N, 2) matched pixels. K_a, K_b: (3, 3). threshold: largest epipolar distance of an inlier,
    pixels. Returns T_ab (4, 4), points of camera a to camera b with a translation of length 1, and the inliers (N,)
    bool; None without a pose.
    """
    if len(points_a) < 5:
        return None
    rays_a, rays_b = _normalised(points_a, K_a), _normalised(points_b, K_b)
    focal = (K_a[0, 0] + K_a[1, 1] + K_b[0, 0] + K_b[1, 1]) / 4
    E, mask = cv2.findEssentialMat(
        rays_a, rays_b, np.eye(3), cv2.USAC_MAGSAC, prob=_CONFIDENCE, threshold=threshold / focal
    )
    if E is None or E.shape != (3, 3):
        return None
    inliers = mask[:, 0] > 0
    _, R, t, _ = cv2.recoverPose(E, rays_a, rays_b, np.eye(3), mask=mask)
    return transform(R, t), inliers


def _normalised(points: np.ndarray, K: np.ndarray) -> np.ndarray:
    """Normalised coordinates (N, 2) of pixels (N, 2)."""
    return (np.column_stack([points, np.ones(len(points))]) @ np.linalg.inv(K).T)[:, :2]
