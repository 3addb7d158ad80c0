"""Rays of matches: products with the size of a pixel, and what a motion keeps of its last matches."""

import numpy as np
import pytest

from loftr_ros.geometry.rays import gram_times, ray_pairs
from loftr_ros.geometry.two_view.essential import EssentialMotion
from loftr_ros.geometry.two_view.homography.motion import PlaneMotion, RotationMotion
from perception_common.cameras.camera import Camera
from perception_common.geometry import so3_exp

CAMERA = Camera.from_matrix(np.array([[600.0, 0, 320], [0, 500, 240], [0, 0, 1]]), 640, 480)
TURN, SHIFT = so3_exp(np.array([0.1, -0.05, 0.2])), np.array([0.8, 0.6, 0.0])


@pytest.mark.parametrize("matrices", [1, 7])
@pytest.mark.parametrize("shape", [(2, 7), (2, 2, 7), (2, 2, 1)])
def test_gram_times_is_the_product_with_the_matrix_of_each_match(matrices, shape):
    rng = np.random.default_rng(0)
    gram, vectors = rng.normal(size=(3, matrices)), rng.normal(size=shape)
    full = gram[[0, 1, 1, 2]].reshape(2, 2, matrices)
    expected = np.einsum("ijn,...jn->...in", full, vectors)
    np.testing.assert_allclose(gram_times(gram, vectors), expected, atol=1e-12)


@pytest.mark.parametrize(
    "motion",
    [EssentialMotion(TURN, SHIFT, 1.0), PlaneMotion(TURN, SHIFT, np.array([0.0, 0.1, 0.2])), RotationMotion(TURN)],
    ids=lambda motion: type(motion).__name__,
)
def test_a_motion_answers_for_the_matches_it_is_asked_about(motion):
    """It keeps its evaluation of the last matches, which must not be taken for that of others."""
    rng = np.random.default_rng(0)
    first, second = (ray_pairs(*rng.uniform(0, 480, (2, 20, 2)), CAMERA, CAMERA)[0] for _ in range(2))
    weights = rng.uniform(size=20)

    def answers(motion, pairs):
        return motion.residuals(pairs), motion.jacobian(pairs), motion.gradient(pairs, weights)

    for pairs in (first, second, first):
        fresh = motion.moved(0.0 * motion.jacobian(first)[0, 0])
        for found, expected in zip(answers(motion, pairs), answers(fresh, pairs), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert not np.allclose(motion.residuals(first), motion.residuals(second))
