"""Sampson residuals, their Jacobian, and the fit of an essential matrix, against OpenCV and numerical derivatives."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.geometry.rays import match_weights, ray_pairs
from loftr_ros.geometry.two_view.essential import EssentialMotion, fit_essential
from loftr_ros.geometry.uncertainty.noise import Noise
from loftr_ros.geometry.uncertainty.refinement import refine
from perception_common.cameras.camera import Camera
from perception_common.geometry import pose_error, so3_exp, transform

CAMERA = Camera.from_matrix(np.array([[600.0, 0, 320], [0, 500, 240], [0, 0, 1]]), 640, 480)
WIDE = Camera.from_matrix(np.array([[300.0, 0, 330], [0, 310, 250], [0, 0, 1]]), 640, 480, (-0.2, 0.05, 0.001, 0.002))

vectors = st.tuples(*[st.floats(-0.3, 0.3)] * 3).map(np.array)
directions = (
    st.tuples(*[st.floats(-1, 1)] * 3)
    .map(np.array)
    .filter(lambda t: np.linalg.norm(t) > 0.2)
    .map(lambda t: t / np.linalg.norm(t))
)


def scene(count=60, seed=1):
    return np.random.default_rng(seed).uniform([-3, -2, 6], [3, 2, 14], (count, 3))


def project(camera, points):
    return cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera.matrix, np.array(camera.distortion))[0][:, 0]


def seen(rotation, translation, cameras=(CAMERA, WIDE), noise=0.0, count=60, seed=2):
    """Pixels of a scene in both cameras; rotation and translation are the pose of the newer one in the older one."""
    rng = np.random.default_rng(seed)
    points = scene(count)
    views = points, (points - translation) @ rotation
    return [
        project(camera, view) + noise * rng.normal(size=(count, 2)) for camera, view in zip(cameras, views, strict=True)
    ]


def pairs_of(pixels, cameras=(CAMERA, WIDE), weights=None):
    return ray_pairs(*pixels, *cameras, weights)[0]


@given(vectors, directions)
@settings(deadline=None, max_examples=25)
def test_residuals_are_zero_on_exact_matches_and_at_most_the_displacement(w, t):
    rotation = so3_exp(w)
    motion = EssentialMotion(rotation, t)
    pixels = seen(rotation, t)
    assert np.abs(motion.residuals(pairs_of(pixels))).max() < 1e-4  # the precision of the undistortion

    # The nearest exact match cannot be farther away than the original one.
    shifted = pairs_of([pixels[0] + [0.02, -0.01], pixels[1] + [0.01, 0.03]])
    assert np.abs(motion.residuals(shifted)).max() < np.hypot(np.hypot(0.02, 0.01), np.hypot(0.01, 0.03)) * 1.01


def test_residuals_are_in_pixels_of_the_original_images_for_any_camera():
    """A displacement across the epipolar line in one image is divided between both images."""
    rotation, t = np.eye(3), np.array([1.0, 0, 0])  # horizontal epipolar lines
    for camera in (CAMERA, Camera.from_matrix(np.diag([1200.0, 1200, 1]), 1280, 960)):
        pixels = seen(rotation, t, (camera, camera))
        pairs = pairs_of([pixels[0], pixels[1] + [0, 1.0]], (camera, camera))
        # half of the squared displacement in each image
        np.testing.assert_allclose(np.abs(EssentialMotion(rotation, t).residuals(pairs)), np.sqrt(0.5), rtol=1e-3)


@given(vectors, directions, st.floats(0, 4))
@settings(deadline=None, max_examples=25)
def test_the_jacobian_equals_numerical_differentiation(w, t, noise):
    motion = EssentialMotion(so3_exp(w), t, noise)
    pairs = pairs_of(seen(so3_exp(w), t, noise=2.0))
    step = 1e-6
    numerical = np.stack(
        [(motion.moved(s).residuals(pairs) - motion.moved(-s).residuals(pairs)) / (2 * step) for s in step * np.eye(5)],
        axis=-1,
    )
    jacobian = motion.jacobian(pairs)
    assert jacobian.shape == (len(pairs), 1, 5)
    np.testing.assert_allclose(jacobian, numerical, atol=1e-4 * np.abs(jacobian).max())

    weights = np.random.default_rng(1).uniform(size=len(pairs))
    expected = np.einsum("n,nkp,nk->p", weights, jacobian, motion.residuals(pairs))
    np.testing.assert_allclose(motion.gradient(pairs, weights), expected, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("estimator", ["poselib", "opencv"])
@given(vectors, directions)
@settings(deadline=None, max_examples=10)
def test_the_fit_is_the_inverse_of_recover_pose(estimator, w, t):
    pixels = seen(so3_exp(w), t, (CAMERA, CAMERA), count=200)
    E, mask = cv2.findEssentialMat(*pixels, CAMERA.matrix, cv2.RANSAC, 0.999, 0.5)
    _, r, shift, _ = cv2.recoverPose(E, *pixels, CAMERA.matrix, mask=mask)
    fit = fit_essential(pairs_of(pixels, (CAMERA, CAMERA)), 0.5, estimator, 0)
    assert fit.inliers.all()
    found = transform(fit.motion.rotation, fit.motion.translation)
    assert max(pose_error(found, np.linalg.inv(transform(r, shift)))) < 1.0  # degrees: OpenCV does not refine
    assert max(pose_error(found, transform(so3_exp(w), t))) < 0.2


def test_refinement_improves_the_fit_and_estimates_the_noise_despite_wrong_matches():
    rotation, t = so3_exp(np.array([0.1, -0.05, 0.2])), np.array([0.8, 0.6, 0.0])
    pixels = seen(rotation, t, noise=1.5, count=500)
    rng = np.random.default_rng(0)
    pixels[1][:200] = rng.uniform(0, [640, 480], (200, 2))
    pairs = pairs_of(pixels)
    fit = fit_essential(pairs, 1.0, "auto", 0)
    refined = refine(pairs, fit.motion, Noise(0.5, 0.5, pairs.extent), 10.0)
    errors = [
        max(pose_error(transform(m.rotation, m.translation), transform(rotation, t)))
        for m in (fit.motion, refined.motion)
    ]
    assert errors[1] < min(errors[0], 4.0)
    assert refined.noise.sigma == pytest.approx(1.5, rel=0.1)
    assert refined.noise.inlier_ratio == pytest.approx(0.6, abs=0.05)


def test_weights_by_spread_improve_the_estimate():
    """Half of the matches are ten times noisier, as their spread tells: the weighted estimate is better."""
    rotation, t = so3_exp(np.array([0.1, -0.05, 0.2])), np.array([0.8, 0.6, 0.0])
    errors = []
    for seed in range(20):
        spread = np.where(np.arange(200) % 2, 0.3, 3.0)
        exact = seen(rotation, t, count=200)
        rng = np.random.default_rng(seed)
        pixels = [p + spread[:, None] * rng.normal(size=p.shape) for p in exact]
        row = []
        for weights in (None, match_weights(None, spread, 200)):
            pairs = pairs_of(pixels, weights=weights)
            refined = refine(pairs, EssentialMotion(rotation, t), Noise(1.0, 0.9, pairs.extent), 10.0).motion
            row.append(max(pose_error(transform(refined.rotation, refined.translation), transform(rotation, t))))
        errors.append(row)
    plain, weighted = np.median(errors, axis=0)
    assert weighted < 0.8 * plain


def test_weights_follow_confidence_and_spread():
    np.testing.assert_array_equal(match_weights(None, None, 3), np.ones(3))
    np.testing.assert_allclose(match_weights(np.array([0.5, 1.0]), None, 2), [0.5, 1.0])
    np.testing.assert_allclose(match_weights(None, np.array([1.0, 1.0, 3.0]), 3), [1.0, 1.0, 0.2])
    np.testing.assert_array_equal(match_weights(None, np.zeros(2), 2), np.ones(2))
