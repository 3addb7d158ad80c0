"""Variance inflation: correlated and unequal errors count, independent equal errors do not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.geometry.rays import ray_pairs
from loftr_ros.geometry.two_view.homography.fit import fit_rotation
from loftr_ros.geometry.uncertainty import dependence
from loftr_ros.geometry.uncertainty.dependence import variance_inflation
from loftr_ros.geometry.uncertainty.noise import Noise
from loftr_ros.geometry.uncertainty.refinement import refine
from perception_common.cameras.camera import Camera
from perception_common.geometry import so3_exp, so3_log

CAMERA = Camera.from_matrix(np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), 640, 480)
TURN = so3_exp(np.array([0.02, 0.05, -0.1]))


def refined_rotation(seed, copies=1, places=150):
    """Matches of a rotation in groups of `copies` with the same error of 3 pixels, and the refined rotation.

    Beside such errors the systematic error of `variance_inflation` is negligible.
    """
    rng = np.random.default_rng(seed)
    points1 = np.repeat(rng.uniform([80, 60], [560, 420], (places, 2)), copies, axis=0)
    points1 += rng.uniform(-2, 2, points1.shape)
    return fitted_rotation(points1, np.repeat(rng.normal(scale=3.0, size=(places, 2)), copies, axis=0))


def fitted_rotation(points1, errors):
    """Matches of a rotation with the errors (N, 2) in image 0, pixels, and their fit."""
    newer = np.insert(CAMERA.rays(points1), 2, 1.0, axis=1) @ TURN.T @ CAMERA.matrix.T
    pairs, _ = ray_pairs(newer[:, :2] / newer[:, 2:] + errors, points1, CAMERA, CAMERA)
    return pairs, refine(pairs, fit_rotation(pairs, 30.0, seed=0), Noise(3.0, 0.9, pairs.extent), 30.0)


@pytest.mark.parametrize(("copies", "expected"), [(1, 1.0), (4, 4.0), (8, 8.0)])
def test_the_inflation_is_the_number_of_matches_with_the_same_error(copies, expected):
    factors = [variance_inflation(*refined_rotation(seed, copies)) for seed in range(30)]
    assert np.mean(factors) == pytest.approx(expected, rel=0.15)


def test_the_inflation_is_that_of_the_actual_error():
    """The mean squared error over the naive covariance and its three degrees of freedom is the number of copies."""
    errors = []
    for seed in range(60):
        _, refined = refined_rotation(seed, copies=4)
        error = so3_log(TURN @ refined.motion.rotation.T)
        errors.append(error @ refined.information @ error / refined.noise.sigma**2 / 3)
    assert np.mean(errors) == pytest.approx(4.0, rel=0.3)


@given(st.integers(0, 1000), st.integers(5, 40))
@settings(deadline=None, max_examples=25)
def test_few_independent_matches_have_little_inflation(seed, places):
    factor = variance_inflation(*refined_rotation(seed, places=places))
    assert 1.0 <= factor < 4.0


def test_copies_of_one_match_count_as_one():
    pairs, refined = refined_rotation(0)
    one = pairs[np.zeros(len(pairs), int)]
    alone = refine(one, refined.motion, refined.noise, 30.0)
    assert 1.0 <= variance_inflation(one, alone) <= len(one)


@pytest.mark.parametrize(("reach", "least"), [(8.0, 1.4), (30.0, 4.0)])
def test_smoothly_correlated_errors_are_as_harmful_as_the_inflation_says(reach, least):
    """Half of the variance is a smooth random field; the squared errors of the rotation are the oracle."""
    errors, factors = [], []
    for seed in range(40):
        pairs, refined = correlated_rotation(seed, reach)
        error = so3_log(TURN @ refined.motion.rotation.T)
        errors.append(error @ refined.information @ error / refined.noise.sigma**2 / 3)
        factors.append(variance_inflation(pairs, refined))
    assert np.mean(errors) > least
    assert np.median(factors) == pytest.approx(np.mean(errors), rel=0.4)


def correlated_rotation(seed, reach, count=400):
    """Matches with 2 pixels of white noise and 2 of a Gaussian process (pixels, range `reach`), and their fit."""
    rng = np.random.default_rng(seed)
    points1 = rng.uniform([80, 60], [560, 420], (count, 2))
    squares = np.square(points1[:, None] - points1).sum(axis=2)
    field = np.linalg.cholesky(np.exp(-squares / (2 * reach**2)) + 1e-6 * np.eye(count)) @ rng.normal(size=(count, 2))
    return fitted_rotation(points1, 2.0 * field + 2.0 * rng.normal(size=(count, 2)))


def test_larger_errors_where_few_matches_hold_the_estimate_count():
    """Most matches lie in the middle; a few around it, which hold the roll, err four times as much.

    The middle is a narrow patch, whose common error the rotation absorbs: the factor errs on the safe side.
    """
    errors, factors = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        is_far = np.arange(400)[:, None] < 40
        points1 = np.where(is_far, rng.uniform([80, 60], [560, 420], (400, 2)), rng.uniform(220, 340, (400, 2)))
        pairs, refined = fitted_rotation(points1, np.where(is_far, 4.0, 1.0) * rng.normal(size=(400, 2)))
        error = so3_log(TURN @ refined.motion.rotation.T)
        errors.append(error @ refined.information @ error / refined.noise.sigma**2 / 3)
        factors.append(variance_inflation(pairs, refined))
    assert np.mean(errors) > 2.0
    assert np.mean(errors) < np.median(factors) < 2.0 * np.mean(errors)


@pytest.mark.parametrize("steps", [None, 2])
def test_the_components_are_those_of_dense_matrices(steps):
    """Against the quadratic forms and traces written out with matrices of all pairs of residuals."""
    rng = np.random.default_rng(0)
    pairs, refined = fitted_rotation(rng.uniform([80, 60], [560, 420], (60, 2)), rng.normal(size=(60, 2)))
    rings = dependence._Rings.of(pairs, refined, steps)
    roots = np.sqrt(refined.weights)
    J = (refined.motion.jacobian(pairs) * roots[:, None, None]).reshape(-1, 3)
    e = (refined.residuals * roots[:, None]).ravel()
    covariance = np.linalg.inv(refined.information)
    F = J @ np.linalg.cholesky(covariance)
    A = J @ covariance[:, :steps] @ np.linalg.inv(np.linalg.cholesky(covariance[:steps, :steps])).T
    cells = dependence._lattice(pairs)
    apart = np.abs(cells[:, :, None] - cells[:, None, :]).max(axis=0)
    within = np.array([np.eye(60), *(apart <= radius for radius in dependence._RADII)])
    rings_of_pairs = np.diff(within, axis=0, prepend=0.0)
    B = [np.kron(ring, np.eye(2)) for ring in rings_of_pairs]
    K = [np.kron(ring, np.ones((2, 2))) * (A @ A.T) for ring in rings_of_pairs]
    Q = np.eye(120) - F @ F.T
    np.testing.assert_allclose(rings.products, [e @ k @ e for k in K], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(rings.moments, [[np.trace(k @ Q @ b @ Q) for b in B] for k in K], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(rings.overlaps, [np.trace(A.T @ b @ A) / A.shape[1] for b in B], rtol=1e-6)


def test_the_systematic_error_bounds_what_many_exact_matches_tell():
    """Four times as many matches with little noise are worth hardly more."""
    deviations = []
    for places in (500, 2000):
        rng = np.random.default_rng(0)
        points1 = rng.uniform([80, 60], [560, 420], (places, 2))
        newer = np.insert(CAMERA.rays(points1), 2, 1.0, axis=1) @ TURN.T @ CAMERA.matrix.T
        points0 = newer[:, :2] / newer[:, 2:] + rng.normal(scale=0.05, size=(places, 2))
        pairs, _ = ray_pairs(points0, points1, CAMERA, CAMERA)
        refined = refine(pairs, fit_rotation(pairs, 1.0, seed=0), Noise(0.05, 0.9, pairs.extent), 1.0)
        variance = variance_inflation(pairs, refined) * refined.noise.sigma**2 * np.linalg.inv(refined.information)
        deviations.append(np.sqrt(np.trace(variance)))
    assert 0.7 * deviations[0] < deviations[1] < deviations[0]
