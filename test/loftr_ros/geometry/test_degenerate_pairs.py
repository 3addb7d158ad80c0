"""Properties of estimated poses: any camera, any pixel size, and a status for degenerate input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.geometry.two_view.relative_pose import Geometry, TwoViewSettings
from perception_common.cameras.camera import Camera
from perception_common.geometry import so3_exp, so3_log

MATRIX = np.array([[300.0, 0, 320], [0, 300, 240], [0, 0, 1]])
PINHOLE = Camera.from_matrix(MATRIX, 640, 480)
FISHEYE = Camera.from_matrix(MATRIX, 640, 480, (-0.02, 0.004, -0.001, 0.0002), "equidistant")
CAMERAS = {"pinhole": PINHOLE, "fisheye": FISHEYE}
ESTIMATORS = ["poselib", "opencv"]
ONE_PIXEL = TwoViewSettings(threshold=1.0)
LOOSE = {"deadline": None, "max_examples": 12}


def seen(camera, points):
    """Pixels (N, 2) of points (N, 3) in front of the camera."""
    straight = points @ camera.rectified_matrix.T
    return camera.distort(straight[:, :2] / straight[:, 2:])


def landscape(seed, camera, rotation, translation, count=200, noise=0.0):
    """Matches (N, 2), pixels, of points 6 to 14 units away that fill the older view."""
    rng = np.random.default_rng(seed)
    rays = np.insert(camera.rays(rng.uniform([20, 20], [620, 460], (count, 2))), 2, 1.0, axis=1)
    points = rays * rng.uniform(6, 14, (count, 1))
    views = points, (points - translation) @ rotation
    return [seen(camera, view) + noise * rng.normal(size=(count, 2)) for view in views]


def assert_valid(pose, count):
    """Assert the shapes, finite values, a valid covariance, and a reason where the geometry is not GENERAL."""
    assert pose.inliers.shape == (count,)
    assert (pose.reason == "") == (pose.geometry == Geometry.GENERAL)
    assert np.isfinite(pose.matrix).all()
    assert np.linalg.eigvalsh(pose.covariance).min() > 0
    np.testing.assert_allclose(pose.rotation @ pose.rotation.T, np.eye(3), atol=1e-9)


@given(st.integers(0, 1000), st.tuples(*[st.floats(-0.1, 0.1)] * 3), st.tuples(*[st.floats(-1, 1)] * 2))
@settings(**LOOSE)
def test_the_pose_of_a_fisheye_camera_is_found(seed, turn, across):
    rotation, translation = so3_exp(np.array(turn)), np.array([*across, 0.3])
    if np.linalg.norm(across) < 0.3:
        translation[0] += 1.0
    pose = estimate_relative_pose(
        *landscape(seed, FISHEYE, rotation, translation, noise=0.1), FISHEYE, FISHEYE, ONE_PIXEL
    )
    assert pose.geometry == Geometry.GENERAL
    assert np.degrees(np.linalg.norm(so3_log(rotation @ pose.rotation.T))) < 0.3
    assert pose.translation @ translation / np.linalg.norm(translation) > np.cos(np.radians(3))
    assert pose.noise == pytest.approx(0.1, rel=0.35)


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
@given(st.integers(0, 1000), st.integers(0, 4))
@settings(**LOOSE)
def test_fewer_than_five_matches_fail(estimator, camera, seed, count):
    points0, points1 = landscape(seed, camera, np.eye(3), np.array([1.0, 0, 0]), count)
    pose = estimate_relative_pose(
        points0, points1, camera, camera, TwoViewSettings(estimator, threshold=1.0, min_inliers=1)
    )
    assert_valid(pose, count)
    assert pose.geometry == Geometry.FAILED


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
@given(st.integers(0, 1000), st.tuples(*[st.floats(-0.15, 0.15)] * 3), st.sampled_from([0.0, 0.05, 0.5]))
@settings(**LOOSE)
def test_a_rotation_and_no_motion_have_no_translation(estimator, camera, seed, turn, noise):
    for rotation in (so3_exp(np.array(turn)), np.eye(3)):
        points = landscape(seed, camera, rotation, np.zeros(3), noise=noise)
        pose = estimate_relative_pose(*points, camera, camera, TwoViewSettings(estimator, threshold=1.5))
        assert_valid(pose, 200)
        assert pose.geometry == Geometry.ROTATION_ONLY
        np.testing.assert_array_equal(pose.translation, 0)
        assert np.linalg.norm(so3_log(rotation @ pose.rotation.T)) < 0.001 + 0.004 * noise


@pytest.mark.parametrize("estimator", ESTIMATORS)
@given(st.integers(0, 1000), st.sampled_from(["line", "duplicates", "nan", "infinite", "two points", "mirrored"]))
@settings(**LOOSE)
def test_degenerate_matches_give_a_status(estimator, seed, kind):
    rng = np.random.default_rng(seed)
    points0, points1 = landscape(seed, FISHEYE, so3_exp(rng.normal(scale=0.05, size=3)), np.array([1.0, 0, 0.2]), 60)
    if kind == "line":
        points0[:, 1] = points1[:, 1] = 200.0
    elif kind == "duplicates":
        points0[:], points1[:] = points0[0], points1[0]
    elif kind == "two points":
        points0[::2], points1[::2] = points0[0], points1[0]
        points0[1::2], points1[1::2] = points0[1], points1[1]
    elif kind == "nan":
        points1[rng.random(60) < 0.9] = np.nan
    elif kind == "infinite":
        points0[rng.random(60) < 0.9] = np.inf
    else:  # a scene in a mirror
        points1 = [640.0, 480.0] - points1
    assert_valid(
        estimate_relative_pose(points0, points1, FISHEYE, FISHEYE, TwoViewSettings(estimator, threshold=1.0)), 60
    )


@given(st.integers(0, 1000))
@settings(**LOOSE)
def test_points_behind_both_cameras_look_like_the_opposite_motion(seed):
    """They project like points in front of cameras with the opposite translation."""
    rng = np.random.default_rng(seed)
    points = rng.uniform([-4, -3, -14], [4, 3, -6], (150, 3))
    rotation, translation = so3_exp(rng.normal(scale=0.05, size=3)), np.array([1.0, 0.3, 0])
    pixels0, pixels1 = (seen(PINHOLE, view) for view in (points, (points - translation) @ rotation))
    pose = estimate_relative_pose(pixels0, pixels1, PINHOLE, PINHOLE, ONE_PIXEL)
    assert_valid(pose, 150)
    assert pose.geometry == Geometry.GENERAL
    assert pose.translation @ translation < 0


@given(st.integers(0, 1000), st.floats(0.5, 3.0))
@settings(**LOOSE)
def test_pose_and_covariance_do_not_depend_on_the_resolution(seed, factor):
    """With `factor` times the resolution, values in pixels scale by it and all others stay the same."""
    rotation, translation = so3_exp(np.array([0.02, 0.05, 0.1])), np.array([1.0, 0.3, 0.2])
    points = landscape(seed, PINHOLE, rotation, translation, noise=0.5)
    larger = PINHOLE.scaled(factor, factor)
    one = estimate_relative_pose(*points, PINHOLE, PINHOLE, TwoViewSettings(threshold=1.5))
    scaled = [(p + 0.5) * factor - 0.5 for p in points]
    two = estimate_relative_pose(*scaled, larger, larger, TwoViewSettings(threshold=1.5 * factor))
    deviations = np.sqrt(np.diag(one.covariance))
    assert two.geometry == one.geometry
    assert two.noise == pytest.approx(factor * one.noise, rel=0.02)
    assert np.linalg.norm((two.translation - one.translation) / deviations[:3]) < 0.1
    assert np.linalg.norm(so3_log(two.rotation @ one.rotation.T) / deviations[3:]) < 0.2
    np.testing.assert_allclose(np.sqrt(np.diag(two.covariance)), deviations, rtol=0.1)
