"""The test of a translation against a rotation alone: its false-alarm rate, correlated errors, and small motions."""

import math

import numpy as np
import pytest

from loftr_ros.geometry.rays import ray_pairs
from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.geometry.two_view.homography.motion import PlaneMotion, RotationMotion
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.geometry.two_view.rotation_test import is_rotation_only
from loftr_ros.geometry.two_view.thresholds import FALSE_ALARM, MIN_GAIN
from loftr_ros.geometry.uncertainty.noise import Noise
from loftr_ros.geometry.uncertainty.refinement import refine
from perception_common.cameras.camera import Camera
from perception_common.geometry import so3_exp

CAMERA = Camera.from_matrix(np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), 640, 480)
TURN = so3_exp(np.array([0.05, -0.03, 0.1]))


def over_a_plane(rng, shift, places=200, copies=1, noise=1.0):
    """Matches (N, 2), pixels, of a turn and a shift (m) 10 m from a plane; `copies` of each share its error."""
    points0 = np.repeat(rng.uniform([60, 60], [580, 420], (places, 2)), copies, axis=0)
    points0 += rng.uniform(-3, 3, points0.shape) * (copies > 1)
    points = 10.0 * np.insert(CAMERA.rays(points0), 2, 1.0, axis=1)
    newer = (points - np.array([shift, 0.0, 0.0])) @ TURN @ CAMERA.matrix.T
    points1 = newer[:, :2] / newer[:, 2:]
    return [p + np.repeat(noise * rng.normal(size=(places, 2)), copies, axis=0) for p in (points0, points1)]


def test_the_threshold_is_the_quantile_of_five_degrees_of_freedom():
    """The survival function of the chi-squared distribution is elementary for odd degrees of freedom."""
    x = MIN_GAIN
    beyond = math.erfc(math.sqrt(x / 2)) + math.sqrt(2 * x / math.pi) * math.exp(-x / 2) * (1 + x / 3)
    assert beyond == pytest.approx(FALSE_ALARM, rel=1e-3)


def test_twice_the_log_likelihood_ratio_of_a_turn_is_chi_squared():
    """Mean 5 and variance 10, as Wilks' theorem says; the standard error of the mean of 150 values is 0.26."""
    gains = []
    for seed in range(150):
        pairs, _ = ray_pairs(*over_a_plane(np.random.default_rng(seed), 0.0), CAMERA, CAMERA)
        noise = Noise(1.0, 0.95, pairs.extent)
        near = PlaneMotion(TURN, np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1e-3]))
        plane, rotation = (refine(pairs, start, noise, 6.0) for start in (near, RotationMotion(TURN)))
        gains.append(2 * (plane.log_likelihood - plane.noise.log_likelihood(rotation.residuals)))
        assert is_rotation_only(pairs, rotation, plane, noise=plane.noise, log_likelihood=plane.log_likelihood)
    assert np.mean(gains) == pytest.approx(5.0, abs=1.0)
    assert np.var(gains) == pytest.approx(10.0, rel=0.5)


def test_errors_that_neighbours_share_are_no_translation():
    """With eight matches to an error the ratio is eight times as large: without the inflation most pairs would fail."""
    found = [
        estimate_relative_pose(*over_a_plane(np.random.default_rng(seed), 0.0, 60, 8), CAMERA, CAMERA).geometry
        for seed in range(20)
    ]
    assert found.count(Geometry.ROTATION_ONLY) >= 19


def test_an_effect_far_below_the_noise_is_left_to_the_matcher():
    """25,000 matches see a shift of 3 cm at 10 m, a tenth of the noise, but so they see the errors of a matcher."""
    rng = np.random.default_rng(0)
    tiny = estimate_relative_pose(*over_a_plane(rng, 0.03, 25_000), CAMERA, CAMERA)
    assert tiny.geometry == Geometry.ROTATION_ONLY
    clear = estimate_relative_pose(*over_a_plane(rng, 0.2, 2_000), CAMERA, CAMERA)
    assert clear.geometry == Geometry.PLANAR
