"""Matches that err alike count for less, independent ones count in full."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.geometry.rays import ray_pairs
from loftr_ros.geometry.two_view.homography import fit_turn
from loftr_ros.geometry.uncertainty.dependence import variance_inflation
from loftr_ros.geometry.uncertainty.noise import Noise
from loftr_ros.geometry.uncertainty.refinement import refine
from perception_common.cameras.camera import Camera
from perception_common.geometry import so3_exp, so3_log

CAMERA = Camera.from_matrix(np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), 640, 480)
TURN = so3_exp(np.array([0.02, 0.05, -0.1]))


def turned(seed, copies=1, places=150):
    """A refined turn from matches that come in groups of `copies` with the same error, pixels."""
    rng = np.random.default_rng(seed)
    points1 = np.repeat(rng.uniform([80, 60], [560, 420], (places, 2)), copies, axis=0)
    points1 += rng.uniform(-2, 2, points1.shape)
    newer = np.insert(CAMERA.rays(points1), 2, 1.0, axis=1) @ TURN.T @ CAMERA.matrix.T
    points0 = newer[:, :2] / newer[:, 2:] + np.repeat(rng.normal(size=(places, 2)), copies, axis=0)
    pairs, _ = ray_pairs(points0, points1, CAMERA, CAMERA)
    return pairs, refine(pairs, fit_turn(pairs), Noise(1.0, 0.9, pairs.extent), 10.0)


@pytest.mark.parametrize(("copies", "expected"), [(1, 1.0), (4, 4.0), (8, 8.0)])
def test_matches_that_err_alike_are_worth_one(copies, expected):
    """Copies of a match tell nothing new: a variance inflation of as many."""
    factors = [variance_inflation(*turned(seed, copies)) for seed in range(30)]
    assert np.mean(factors) == pytest.approx(expected, rel=0.15)


def test_it_is_by_how_much_the_error_is_larger():
    """The squared error in units of the naive covariance, over its three degrees of freedom, has that mean."""
    errors = []
    for seed in range(60):
        _, refined = turned(seed, copies=4)
        error = so3_log(TURN @ refined.motion.rotation.T)
        errors.append(error @ refined.information @ error / refined.noise.sigma**2 / 3)
    assert np.mean(errors) == pytest.approx(4.0, rel=0.3)


@given(st.integers(0, 1000), st.integers(5, 40))
@settings(deadline=None, max_examples=25)
def test_few_matches_show_little(seed, places):
    factor = variance_inflation(*turned(seed, places=places))
    assert 1.0 <= factor < 4.0


def test_matches_in_one_place_show_nothing():
    pairs, refined = turned(0)
    one = pairs[np.zeros(len(pairs), int)]
    alone = refine(one, refined.motion, refined.noise, 10.0)
    assert variance_inflation(one, alone) == 1.0
