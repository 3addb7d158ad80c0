"""Every estimator: exact motions of exact points, the effect of thresholds, and degenerate points."""

import numpy as np
import pytest

from loftr_ros.geometry.two_view.relative_pose import Geometry
from perception_common.cameras.camera import Camera
from perception_common.geometry import pose_error, so3_exp, transform
from replay_ros.evaluation.pairs.estimators import ESTIMATORS, PoseEstimator, choose_estimators, estimate_pose

K_A = np.array([[500.0, 0, 319.5], [0, 510.0, 239.5], [0, 0, 1]])
K_B = np.array([[900.0, 0, 639.5], [0, 880.0, 359.5], [0, 0, 1]])
CAMERA_A, CAMERA_B = Camera.from_matrix(K_A, 640, 480), Camera.from_matrix(K_B, 1280, 720)
T_AB = transform(so3_exp(np.array([0.1, -0.2, 0.15])), np.array([-1.0, 0.3, 0.2]))


def matches(count=200, noise=0.0):
    rng = np.random.default_rng(0)
    points = rng.uniform([-2, -1.5, 4], [2, 1.5, 9], (count, 3))
    moved = points @ T_AB[:3, :3].T + T_AB[:3, 3]
    pixels = [(p / p[:, 2:]) @ K.T for p, K in ((points, K_A), (moved, K_B))]
    return [p[:, :2] + noise * rng.normal(size=(count, 2)) for p in pixels]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_pose_maps_points_of_a_to_b(estimator):
    if estimator == "poselib":
        pytest.importorskip("poselib")
    found = estimate_pose(*matches(noise=0.2), CAMERA_A, CAMERA_B, PoseEstimator(estimator, 1.0))
    assert found.geometry == Geometry.GENERAL
    assert max(pose_error(found.T_ab, T_AB)) < 1
    assert found.inliers > 150
    assert np.linalg.norm(found.T_ab[:3, 3]) == pytest.approx(1)


@pytest.mark.parametrize("estimator", ["opencv", "opencv-ransac", "fallback"])
def test_a_smaller_threshold_has_fewer_inliers(estimator):
    small, large = (
        estimate_pose(*matches(noise=1), CAMERA_A, CAMERA_B, PoseEstimator(estimator, px)).inliers for px in (0.5, 4)
    )
    assert small < large


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_too_few_and_coincident_matches_return_a_failure(estimator):
    if estimator == "poselib":
        pytest.importorskip("poselib")
    for points in (np.zeros((0, 2)), np.full((4, 2), 100.0)):
        found = estimate_pose(points, points, CAMERA_A, CAMERA_B, PoseEstimator(estimator, 1.0))
        assert (found.T_ab, found.geometry) == (None, Geometry.FAILED)


def test_descriptions_name_the_threshold():
    (default,) = choose_estimators(["opencv-ransac"])
    assert default.description.startswith("OpenCV as the papers use it")
    for name in ESTIMATORS:
        assert " 2.5 px" in PoseEstimator(name, 2.5).description
