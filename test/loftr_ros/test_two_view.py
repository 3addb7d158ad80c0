"""Relative poses from points of a known scene, and what degenerate scenes are called."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.two_view import (
    Geometry,
    TwoViewSettings,
    estimate_relative_pose,
    sampson_distance,
)
from perception_common.camera import Camera

CAMERA = Camera.from_matrix(np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), 640, 480)
ESTIMATORS = ["poselib", "opencv"]


def rotation_vector(x, y, z):
    return cv2.Rodrigues(np.array([x, y, z], float))[0]


def project(camera, points):
    return cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera.matrix, np.array(camera.distortion))[0][:, 0]


def two_views(points, rotation, translation, camera=CAMERA, noise=0.0, seed=0):
    """Pixels of `points` (in the older camera) in both cameras; the newer one has this pose in the older one."""
    rng = np.random.default_rng(seed)
    newer = (points - translation) @ rotation
    return [
        project(camera, view) + rng.normal(scale=noise, size=(len(points), 2)) if noise else project(camera, view)
        for view in (points, newer)
    ]


def scene(count=400, seed=1, flat=False):
    rng = np.random.default_rng(seed)
    points = rng.uniform([-4, -3, 6], [4, 3, 14], (count, 3))
    if flat:
        points[:, 2] = 10 + 0.2 * points[:, 0]
    return points


def direction_error(estimated, true):
    return np.degrees(np.arccos(np.clip(estimated @ true / np.linalg.norm(true), -1, 1)))


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_the_pose_of_the_newer_camera_in_the_older_one_is_found(estimator, noise):
    rotation, translation = rotation_vector(0.05, -0.1, 0.3), np.array([1.0, 0.4, -0.2])
    points0, points1 = two_views(scene(), rotation, translation, noise=noise)

    pose = estimate_relative_pose(points0, points1, CAMERA, CAMERA, TwoViewSettings(estimator, threshold=1.5))

    assert pose.geometry == Geometry.GENERAL
    assert pose.reason == ""
    assert np.degrees(np.linalg.norm(cv2.Rodrigues(pose.rotation.T @ rotation)[0])) < 0.01 + noise
    assert direction_error(pose.translation, translation) < 0.01 + 4 * noise
    assert np.linalg.norm(pose.translation) == pytest.approx(1)
    assert pose.inliers.mean() > 0.85
    assert pose.residual <= noise + 1e-4
    assert pose.parallax > 3


def test_it_is_the_inverse_of_what_recover_pose_returns():
    points0, points1 = two_views(scene(), rotation_vector(0.1, 0.05, -0.2), np.array([0.8, -0.3, 0.5]))
    essential, mask = cv2.findEssentialMat(points0, points1, CAMERA.matrix, cv2.RANSAC, 0.999, 0.5)
    _, r, t, _ = cv2.recoverPose(essential, points0, points1, CAMERA.matrix, mask=mask)

    pose = estimate_relative_pose(points0, points1, CAMERA, CAMERA)

    expected = np.linalg.inv(np.vstack([np.hstack([r, t]), [0, 0, 0, 1]]))
    np.testing.assert_allclose(pose.matrix, expected, atol=1e-3)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_wrong_matches_are_outliers(estimator):
    rng = np.random.default_rng(3)
    points0, points1 = two_views(scene(), rotation_vector(0, 0, 0.1), np.array([1.0, 0, 0]))
    wrong = rng.random(len(points0)) < 0.4
    points1[wrong] = rng.uniform(0, [640, 480], (wrong.sum(), 2))

    pose = estimate_relative_pose(points0, points1, CAMERA, CAMERA, TwoViewSettings(estimator))

    assert pose.inliers[~wrong].mean() > 0.98
    assert pose.inliers[wrong].mean() < 0.1  # a few lie on their epipolar line by chance
    assert direction_error(pose.translation, np.array([1.0, 0, 0])) < 0.5


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_flat_scene_is_planar_and_a_turn_is_rotation_only(estimator):
    choice = TwoViewSettings(estimator)
    flat = estimate_relative_pose(
        *two_views(scene(flat=True), rotation_vector(0, 0, 0.2), np.array([1.5, 0, 0]), noise=0.2),
        CAMERA,
        CAMERA,
        choice,
    )
    turned = estimate_relative_pose(
        *two_views(scene(), rotation_vector(0, 0.1, 0.2), np.zeros(3), noise=0.2), CAMERA, CAMERA, choice
    )
    still = estimate_relative_pose(*two_views(scene(), np.eye(3), np.zeros(3), noise=0.1), CAMERA, CAMERA, choice)

    assert flat.geometry == Geometry.PLANAR
    assert "plane" in flat.reason
    for pose in (turned, still):
        assert pose.geometry == Geometry.ROTATION_ONLY
        np.testing.assert_array_equal(pose.translation, 0)
    np.testing.assert_allclose(turned.rotation, rotation_vector(0, 0.1, 0.2), atol=2e-3)


def test_a_distorted_camera_is_straightened():
    camera = Camera.from_matrix(CAMERA.matrix, 640, 480, (-0.3, 0.12, 0.001, -0.001, 0.0))
    translation = np.array([1.0, 0.2, 0.1])
    pose = estimate_relative_pose(*two_views(scene(), rotation_vector(0.1, 0, 0), translation, camera), camera, camera)
    assert direction_error(pose.translation, translation) < 0.05
    assert pose.residual < 0.01


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(
    "points",
    [
        np.zeros((0, 2)),
        np.zeros((4, 2)),
        np.full((50, 2), 100.0),
        np.column_stack([np.linspace(0, 600, 50), np.full(50, 200.0)]),
        np.full((50, 2), np.nan),
    ],
    ids=["none", "four", "one point", "a line", "nan"],
)
def test_degenerate_points_give_a_status(estimator, points):
    pose = estimate_relative_pose(points, points, CAMERA, CAMERA, TwoViewSettings(estimator))
    assert pose.geometry in (Geometry.FAILED, Geometry.ROTATION_ONLY)
    assert pose.reason
    assert pose.inliers.shape == (len(points),)
    np.testing.assert_array_equal(pose.translation, 0)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_random_matches_fail_or_have_few_inliers(estimator):
    rng = np.random.default_rng(0)
    points0, points1 = rng.uniform(0, [640, 480], (2, 300, 2))
    pose = estimate_relative_pose(points0, points1, CAMERA, CAMERA, TwoViewSettings(estimator, min_inliers=60))
    assert pose.geometry == Geometry.FAILED
    np.testing.assert_array_equal(pose.matrix, np.eye(4))


@given(
    st.tuples(*[st.floats(-0.3, 0.3)] * 3),
    st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda t: np.linalg.norm(t) > 0.2),
)
@settings(deadline=None, max_examples=25)
def test_sampson_distance_is_zero_on_true_matches_and_first_order_elsewhere(w, t):
    rotation, translation = rotation_vector(*w), np.array(t)
    points = scene(50)
    x0 = points[:, :2] / points[:, 2:]
    newer = points @ rotation.T + translation
    x1 = newer[:, :2] / newer[:, 2:]
    assert sampson_distance(x0, x1, rotation, translation).max() < 1e-9

    # The closest true pair to a displaced one is as far as the Sampson distance says, to first order.
    shifted = x1 + np.array([1e-4, 0])
    bound = np.full(len(x1), 1e-4)
    assert (sampson_distance(x0, shifted, rotation, translation) <= bound * 1.01).all()


def test_same_seed_same_pose():
    points0, points1 = two_views(scene(), rotation_vector(0.1, 0, 0.2), np.array([1.0, 0, 0.3]), noise=0.7)
    for estimator in ESTIMATORS:
        first, second = (
            estimate_relative_pose(points0, points1, CAMERA, CAMERA, TwoViewSettings(estimator)) for _ in range(2)
        )
        np.testing.assert_array_equal(first.matrix, second.matrix)
        np.testing.assert_array_equal(first.inliers, second.inliers)


@pytest.mark.shared_data
def test_brighton_reference_poses_are_reproduced_from_sift(shared_data):
    """SIFT at full size: 34 of 37 pairs under 5 degrees with OpenCV are published in the data's own README."""
    import json

    folder = shared_data / "odm_brighton_beach"
    pair = json.loads((folder / "pairs.json").read_text())["pairs"][0]
    sift = cv2.SIFT_create(3000)
    found = []
    for side in "ab":
        image = cv2.imread(str(folder / pair[side]), cv2.IMREAD_GRAYSCALE)
        found.append(sift.detectAndCompute(cv2.resize(image, (800, 450), interpolation=cv2.INTER_AREA), None))
    matches = [m for m, n in cv2.BFMatcher().knnMatch(found[0][1], found[1][1], k=2) if m.distance < 0.8 * n.distance]
    points0 = np.array([found[0][0][m.queryIdx].pt for m in matches])
    points1 = np.array([found[1][0][m.trainIdx].pt for m in matches])
    camera = Camera.from_matrix(np.array(pair["K_a"]), 1600, 900).scaled(0.5, 0.5)

    pose = estimate_relative_pose(points0, points1, camera, camera)

    T_older_newer = np.linalg.inv(np.array(pair["T_ab"]))
    assert np.degrees(np.linalg.norm(cv2.Rodrigues(pose.rotation.T @ T_older_newer[:3, :3])[0])) < 2
    assert direction_error(pose.translation, T_older_newer[:3, 3]) < 5
