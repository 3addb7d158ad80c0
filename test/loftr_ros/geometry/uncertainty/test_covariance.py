"""Covariances: conventions against their definitions, and bounds of unobserved components.

Consistency is tested in two_view/test_estimation.py and test_flight_consistency.py.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.geometry.rays import ray_pairs
from loftr_ros.geometry.sphere import move_direction, tangent_basis
from loftr_ros.geometry.two_view.essential import EssentialMotion
from loftr_ros.geometry.uncertainty.covariance import (
    UNKNOWN_ROTATION,
    UNOBSERVED,
    change_frame,
    from_gtsam,
    pose_covariance,
    rotation_only_covariance,
    step_covariance,
    to_gtsam,
    unknown_covariance,
)
from loftr_ros.geometry.uncertainty.noise import Noise
from loftr_ros.geometry.uncertainty.refinement import refine
from perception_common.cameras.camera import Camera
from perception_common.geometry import inverse, so3_exp, so3_log, transform

vectors = st.tuples(*[st.floats(-2, 2)] * 3).map(np.array)
seeds = st.integers(0, 10_000)


def covariance_of(seed):
    root = np.random.default_rng(seed).normal(size=(6, 6))
    return root @ root.T


def disturbed(T, error):
    """The pose after an error in the convention of PoseWithCovariance: about the axes of the older frame."""
    return transform(so3_exp(error[3:]) @ T[:3, :3], T[:3, 3] + error[:3])


def error_of(T, T_true):
    return np.concatenate([T_true[:3, 3] - T[:3, 3], so3_log(T_true[:3, :3] @ T[:3, :3].T)])


def numerical(function, size=6, step=1e-6):
    return np.stack([(function(s) - function(-s)) / (2 * step) for s in step * np.eye(size)], axis=-1)


@given(vectors, vectors, vectors, vectors, seeds)
@settings(deadline=None, max_examples=25)
def test_the_covariance_of_the_base_is_that_of_the_transformed_pose(w, t, turn, lever, seed):
    T, X = transform(so3_exp(w), t), transform(so3_exp(turn), lever)
    moved, covariance = change_frame(T, covariance_of(seed), X)
    np.testing.assert_allclose(moved, X @ T @ inverse(X), atol=1e-9)
    jacobian = numerical(lambda error: error_of(moved, X @ disturbed(T, error) @ inverse(X)))
    np.testing.assert_allclose(covariance, jacobian @ covariance_of(seed) @ jacobian.T, atol=1e-5)


@given(vectors, vectors, seeds)
@settings(deadline=None, max_examples=25)
def test_conversion_to_the_right_perturbation_of_gtsam_and_back(w, t, seed):
    T, covariance = transform(so3_exp(w), t), covariance_of(seed)

    def right(error):  # T exp(x) to first order, x = (rotation, translation) in the newer camera
        relative = inverse(T) @ disturbed(T, error)
        return np.concatenate([so3_log(relative[:3, :3]), relative[:3, 3]])

    jacobian = numerical(right)
    there = to_gtsam(covariance, T[:3, :3])
    np.testing.assert_allclose(there, jacobian @ covariance @ jacobian.T, atol=1e-5)
    np.testing.assert_allclose(from_gtsam(there, T[:3, :3]), covariance, atol=1e-9)


def test_unobserved_components_have_the_stated_variance_at_any_parallax():
    unknown = unknown_covariance()
    np.testing.assert_array_equal(np.diag(unknown), [UNOBSERVED] * 3 + [UNKNOWN_ROTATION] * 3)
    turned = rotation_only_covariance(1e-6 * np.eye(3))
    np.testing.assert_array_equal(np.diag(turned), [UNOBSERVED] * 3 + [1e-6] * 3)

    t = np.array([0.6, 0.0, 0.8])
    steps = 1e-4 * np.eye(5)
    wide, small = (pose_covariance(steps, t, parallax, 0.001) for parallax in (0.2, 0.002))
    assert t @ wide[:3, :3] @ t == pytest.approx(UNOBSERVED, rel=0.01)
    assert t @ small[:3, :3] @ t > 5 * UNOBSERVED
    across = tangent_basis(t)
    np.testing.assert_allclose(across.T @ wide[:3, :3] @ across, 1e-4 * np.eye(2), rtol=0.01, atol=1e-9)
    assert (np.diag(small) > np.diag(wide)).all()
    assert np.diag(pose_covariance(1e9 * np.eye(5), t, 0.1, 0.001))[3:].max() <= UNKNOWN_ROTATION * 1.001


@given(st.floats(0.2, 5.0))
@settings(deadline=None, max_examples=15)
def test_the_covariance_does_not_depend_on_the_resolution(factor):
    """The same rays and noise in a camera with `factor` times the resolution have the same covariance."""
    rng = np.random.default_rng(0)
    points = rng.uniform([-3, -2, 6], [3, 2, 12], (100, 3))
    rotation, t = so3_exp(np.array([0.05, 0.1, 0.0])), np.array([1.0, 0, 0])
    newer = (points - t) @ rotation
    rays = [p[:, :2] / p[:, 2:] + rng.normal(scale=1 / 500, size=(100, 2)) for p in (points, newer)]
    found = []
    for focal in (500.0, 500.0 * factor):
        camera = Camera.from_matrix(np.diag([focal, focal, 1.0]), int(focal), int(focal))
        pairs, _ = ray_pairs(rays[0] * focal, rays[1] * focal, camera, camera)
        scale = focal / 500
        refined = refine(pairs, EssentialMotion(rotation, t, scale), Noise(scale, 0.9, pairs.extent), 100 * scale)
        found.append(step_covariance(pairs, refined))
    deviations = np.sqrt(np.diag(found[0]))
    np.testing.assert_allclose(
        found[0] / np.outer(deviations, deviations), found[1] / np.outer(deviations, deviations), atol=1e-2
    )


@given(vectors.filter(lambda v: np.linalg.norm(v) > 0.1))
@settings(deadline=None, max_examples=25)
def test_directions_move_on_the_sphere(v):
    direction = v / np.linalg.norm(v)
    basis = tangent_basis(direction)
    np.testing.assert_allclose(basis.T @ np.column_stack([basis, direction]), np.eye(2, 3), atol=1e-12)
    moved = move_direction(direction, np.array([1e-4, 2e-4]))
    assert np.linalg.norm(moved) == pytest.approx(1)
    np.testing.assert_allclose(basis.T @ moved, [1e-4, 2e-4], rtol=1e-6)


@given(vectors, vectors, vectors)
@settings(deadline=None, max_examples=25)
def test_a_very_sure_rotation_keeps_its_variance_and_the_covariance_is_positive_definite(w, lever, turn):
    """A thousand matches with an error of 0.15 pixels give a rotation to about 1e-5 radians."""
    steps = np.diag([3e-10, 2e-10, 2e-9])
    covariance = rotation_only_covariance(steps)
    np.testing.assert_allclose(covariance[3:, 3:], steps)
    T = transform(so3_exp(w), np.zeros(3))
    _, of_base = change_frame(T, covariance, transform(so3_exp(turn), lever))
    for each in (covariance, of_base, to_gtsam(covariance, T[:3, :3])):
        np.linalg.cholesky(each)


@pytest.mark.parametrize("direction", np.random.default_rng(0).normal(size=(20, 3)))
def test_the_covariance_of_an_exact_pose_is_positive_definite(direction):
    """The unobserved length and the smallest variance differ by a factor of 1e14."""
    np.linalg.cholesky(pose_covariance(np.zeros((5, 5)), direction / np.linalg.norm(direction), 0.1, 0.0))
