"""The plain OpenCV estimator on exact matches and on too few."""

import cv2
import numpy as np
import pytest

from loftr_ros.geometry.accuracy import pose_degrees
from loftr_ros.geometry.opencv_pose import estimate_plain_pose
from perception_common.geometry import transform

K = np.array([[400.0, 0, 320], [0, 400.0, 240], [0, 0, 1]])
ROTATION, TRANSLATION = cv2.Rodrigues(np.array([0.1, -0.2, 0.3]))[0], np.array([1.0, 0.2, -0.1])


def test_the_pose_of_exact_matches_has_no_error():
    rng = np.random.default_rng(0)
    X_a = rng.uniform([-3, -2, 4], [3, 2, 9], (200, 3))
    X_b = X_a @ ROTATION.T + TRANSLATION
    points_a, points_b = ((X @ K.T)[:, :2] / X[:, 2:] for X in (X_a, X_b))
    estimated, inliers = estimate_plain_pose(points_a, points_b, K, K)
    assert pose_degrees(estimated, transform(ROTATION, TRANSLATION)) < 0.1
    assert inliers.mean() > 0.95
    assert pose_degrees(estimated, transform(ROTATION, -TRANSLATION)) > 170


@pytest.mark.parametrize("count", [0, 4])
def test_too_few_matches_give_no_pose(count):
    points = np.random.default_rng(0).uniform(0, 100, (count, 2))
    assert estimate_plain_pose(points, points, K, K) is None
