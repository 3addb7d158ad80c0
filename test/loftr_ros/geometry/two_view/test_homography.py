"""Homographies: decompositions against OpenCV, residuals and derivatives against their definitions, and the choice."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from loftr_ros.geometry.rays import ray_pairs
from loftr_ros.geometry.two_view.ambiguity import Alternative, MotionPrior, posterior, spread_of_alternatives
from loftr_ros.geometry.two_view.homography.decomposition import decompose_homography, visible_motions
from loftr_ros.geometry.two_view.homography.fit import fit_homography, fit_rotation
from loftr_ros.geometry.two_view.homography.motion import PlaneMotion, RotationMotion
from loftr_ros.geometry.two_view.homography.sampson import homography_residuals
from perception_common.cameras.camera import Camera
from perception_common.geometry import rotation_angle, so3_exp, transform

CAMERA = Camera.from_matrix(np.array([[600.0, 0, 320], [0, 550, 240], [0, 0, 1]]), 640, 480)

vectors = st.tuples(*[st.floats(-0.3, 0.3)] * 3).map(np.array)
tilts = st.tuples(*[st.floats(-0.5, 0.5)] * 2).map(lambda v: np.array([*v, 1.0]) / np.linalg.norm([*v, 1.0]))
shifts = st.tuples(*[st.floats(-3, 3)] * 3).map(np.array).filter(lambda t: np.linalg.norm(t) > 0.3)


def motion_of(w, t, normal, distance=10.0):
    """Pose (R, t) of the newer camera over the plane normal' p1 = distance."""
    length = np.linalg.norm(t)
    return PlaneMotion(so3_exp(w), t / length, length / distance * normal)


def pairs_of(H, noise=0.0, count=100, seed=0):
    rng = np.random.default_rng(seed)
    points1 = rng.uniform([40, 40], [600, 440], (count, 2))
    mapped = np.insert(CAMERA.rays(points1), 2, 1.0, axis=1) @ H.T
    points0 = mapped[:, :2] / mapped[:, 2:] * [600, 550] + [320, 240]
    points0, points1 = (p + noise * rng.normal(size=p.shape) for p in (points0, points1))
    return ray_pairs(points0, points1, CAMERA, CAMERA)[0]


def least_squares_rotation(x0, x1):
    """The rotation with u0 ~ R u1 for unit vectors u, by Davenport's q-method: the largest eigenvector of K."""
    u0, u1 = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (x0, x1))
    B = u0.T @ u1
    z = np.array([B[2, 1] - B[1, 2], B[0, 2] - B[2, 0], B[1, 0] - B[0, 1]])
    K = np.block([[B + B.T - np.trace(B) * np.eye(3), z[:, None]], [z[None], np.array([[np.trace(B)]])]])
    *axis, w = np.linalg.eigh(K)[1][:, -1]
    angle = 2 * np.arctan2(np.linalg.norm(axis), w)
    return so3_exp(np.array(axis) / np.linalg.norm(axis) * angle)


@given(vectors, shifts, tilts)
@settings(deadline=None, max_examples=50)
def test_the_decompositions_agree_with_opencv(w, t, normal):
    H = 2.7 * motion_of(w, t, normal).homography
    ours = decompose_homography(H)
    count, rotations, translations, normals = cv2.decomposeHomographyMat(H, np.eye(3))
    assert len(ours) == count == 4
    assume(np.isfinite(rotations).all())  # OpenCV divides by zero where an entry of H'H - I vanishes
    for rotation, translation, plane in zip(rotations, translations, normals, strict=True):
        expected = rotation, translation @ plane.T
        assert any(
            np.allclose(motion.rotation, expected[0], atol=1e-4)
            and np.allclose(np.outer(motion.translation, motion.plane), expected[1], atol=1e-4)
            and motion.plane @ plane[:, 0] > 0
            for motion in ours
        )


@given(vectors, shifts, tilts)
@settings(deadline=None, max_examples=50)
def test_one_or_two_motions_are_visible_and_include_the_true_one(w, t, normal):
    true = motion_of(w, t, normal)
    pairs = pairs_of(true.homography)
    assert np.all(pairs.x1 @ true.homography[2] > 0)
    visible = visible_motions(decompose_homography(-true.homography), pairs)
    assert 1 <= len(visible) <= 2
    assert any(
        np.allclose(motion.rotation, true.rotation, atol=1e-5)
        and np.allclose(motion.translation, true.translation, atol=1e-4)
        and np.allclose(motion.plane, true.plane, atol=1e-5)
        for motion in visible
    )
    for motion in visible:
        assert np.linalg.norm(motion.residuals(pairs), axis=1).max() < 1e-6


def test_a_pure_rotation_has_no_plane():
    assert decompose_homography(3.0 * so3_exp(np.array([0.1, 0.2, -0.3]))) == []


@given(vectors)
@settings(deadline=None, max_examples=20)
def test_a_rotation_is_fitted(w):
    found = fit_rotation(pairs_of(so3_exp(w)), threshold=1.0, seed=0)
    np.testing.assert_allclose(found.rotation, so3_exp(w), atol=1e-7)


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_wrong_matches_do_not_pull_the_rotation(share):
    """The rotation is the least-squares fit to the right matches alone."""
    rng = np.random.default_rng(1)
    R = so3_exp(np.array([0.1, -0.2, 0.3]))
    pairs = pairs_of(R, noise=0.5, count=200)
    wrong = rng.random(200) < share
    x0 = pairs.x0.copy()
    x0[wrong, :2] += rng.uniform(-0.4, 0.4, (wrong.sum(), 2))
    mixed = replace(pairs, x0=x0)
    expected = least_squares_rotation(pairs.x0[~wrong], pairs.x1[~wrong])
    found = fit_rotation(mixed, threshold=3.0, seed=0)
    assert rotation_angle(found.rotation.T @ expected) < 2e-4  # a pixel is 1.7e-3
    same = fit_rotation(mixed, threshold=3.0, seed=0)
    np.testing.assert_array_equal(found.rotation, same.rotation)


def test_matches_of_one_point_have_no_rotation():
    pairs = pairs_of(np.eye(3), count=20)
    one = replace(pairs, x0=np.repeat(pairs.x0[:1], 20, axis=0), x1=np.repeat(pairs.x1[:1], 20, axis=0))
    assert fit_rotation(one, threshold=1.0, seed=0) is None
    assert fit_rotation(pairs[:1], threshold=1.0, seed=0) is None


@given(vectors, shifts, tilts)
@settings(deadline=None, max_examples=25)
def test_the_jacobians_equal_numerical_differentiation(w, t, normal):
    motion = motion_of(w, t, normal)
    pairs = pairs_of(motion.homography, noise=2.0)
    for model, size in ((motion, 8), (RotationMotion(motion.rotation), 3)):
        step = 1e-6
        numerical = np.stack(
            [
                (model.moved(s).residuals(pairs) - model.moved(-s).residuals(pairs)) / (2 * step)
                for s in step * np.eye(size)
            ],
            axis=-1,
        )
        jacobian = model.jacobian(pairs)
        assert jacobian.shape == (len(pairs), 2, size)
        np.testing.assert_allclose(jacobian, numerical, atol=1e-4 * np.abs(jacobian).max())


@given(vectors, shifts, tilts)
@settings(deadline=None, max_examples=25)
def test_gradients_and_step_conversions_agree_with_the_jacobians(w, t, normal):
    motion = motion_of(w, t, normal)
    pairs = pairs_of(motion.homography, noise=2.0)
    weights = np.random.default_rng(1).uniform(size=len(pairs))
    for model in (motion, RotationMotion(motion.rotation)):
        expected = np.einsum("n,nkp,nk->p", weights, model.jacobian(pairs), model.residuals(pairs))
        np.testing.assert_allclose(
            model.gradient(pairs, weights), expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max()
        )
    for other in visible_motions(decompose_homography(motion.homography), pairs):
        np.testing.assert_allclose(
            np.tensordot(motion.steps_of(other).T, motion.tangents, axes=1), other.tangents, atol=1e-6
        )


def test_residual_components_are_uncorrelated_with_the_deviation_of_the_noise():
    H = motion_of(np.array([0.1, 0, 0.2]), np.array([1.0, 0.5, 2.0]), np.array([0.0, 0.0, 1.0])).homography
    residuals = homography_residuals(pairs_of(H, noise=1.5, count=20_000), H)
    np.testing.assert_allclose(residuals.std(axis=0), 1.5, rtol=0.03)
    assert abs(np.corrcoef(residuals.T)[0, 1]) < 0.03


@pytest.mark.parametrize("estimator", ["poselib", "opencv"])
def test_a_homography_is_fitted_despite_wrong_matches(estimator):
    H = motion_of(np.array([0.1, 0, 0.2]), np.array([1.0, 0.5, 2.0]), np.array([0.0, 0.0, 1.0])).homography
    pairs = pairs_of(H, noise=0.5, count=300)
    pairs.x0[:100, :2] = np.random.default_rng(1).uniform(-0.5, 0.5, (100, 2))
    found = fit_homography(pairs, 2.0, estimator, 0)
    np.testing.assert_allclose(found / found[2, 2], H / H[2, 2], atol=0.01)


@pytest.mark.parametrize("estimator", ["poselib", "opencv"])
def test_degenerate_matches_have_no_homography_or_one_that_is_finite(estimator):
    pairs = pairs_of(np.eye(3))
    for few in (pairs[np.arange(3)], pairs[np.zeros(20, int)]):
        found = fit_homography(few, 1.0, estimator, 0)
        assert found is None or np.isfinite(found).all()


def test_gravity_and_the_last_motion_choose_between_the_motions_of_a_plane():
    true = motion_of(np.array([0.02, 0.01, 0.1]), np.array([2.0, 0.5, 0.3]), np.array([0.1, -0.1, 0.99]))
    visible = visible_motions(decompose_homography(true.homography), pairs_of(true.homography))
    assert len(visible) == 2
    down = true.rotation @ true.plane
    expected = transform(true.rotation, true.translation)
    for prior in (MotionPrior(down=down), MotionPrior(motion=expected)):
        densities = [prior.log_density(m.rotation, m.translation, m.rotation @ m.plane) for m in visible]
        probabilities = posterior(densities)
        best = visible[int(np.argmax(probabilities))]
        np.testing.assert_allclose(best.translation, true.translation, atol=1e-5)
        assert max(probabilities) > 0.99
    nothing = [MotionPrior().log_density(m.rotation, m.translation, m.plane) for m in visible]
    np.testing.assert_allclose(posterior(nothing), 0.5)


def test_the_spread_of_alternatives_is_their_second_moment_about_the_choice():
    rotation, other = so3_exp(np.array([0.0, 0.0, 0.1])), so3_exp(np.array([0.0, 0.0, 0.3]))
    x, y = np.eye(3)[:2]
    own = np.diag([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    added = spread_of_alternatives(rotation, x, [Alternative(0.25, other, y, own)])
    difference = np.array([-1, 1, 0, 0, 0, 0.2])
    np.testing.assert_allclose(added, 0.25 * (own + np.outer(difference, difference)), atol=1e-12)
    np.testing.assert_array_equal(spread_of_alternatives(rotation, x, []), 0)
