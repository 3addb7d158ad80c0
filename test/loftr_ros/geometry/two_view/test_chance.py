"""Wrong matches alone must give no pose, and few right ones among many wrong ones still must."""

from math import comb, log

import cv2
import numpy as np
import pytest

from loftr_ros.geometry.rays import ray_pairs
from loftr_ros.geometry.two_view.chance import log_chance_sets
from loftr_ros.geometry.two_view.essential import EssentialMotion
from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.geometry.two_view.relative_pose import Geometry
from perception_common.cameras.camera import Camera
from perception_common.geometry import so3_exp

WIDTH, HEIGHT = 640, 480
CAMERA = Camera.from_matrix(np.array([[520.0, 0, 319.5], [0, 520, 239.5], [0, 0, 1]]), WIDTH, HEIGHT)
EXTENT = 280.0  # half the mean side


def uniform_points(rng, count):
    return rng.uniform([0, 0], [WIDTH - 1, HEIGHT - 1], (count, 2))


def test_the_number_of_sets_is_that_of_the_binomial_coefficient():
    distances = np.r_[np.full(30, 0.5), np.full(370, 100.0)]
    share = 2 * 1.5 / EXTENT
    expected = log(10 * comb(400, 30)) + 25 * log(share)
    assert log_chance_sets(distances, 1.5, EXTENT) == pytest.approx(expected)


def test_matches_that_lie_just_beyond_the_limit_make_chance_more_likely():
    far, near = np.r_[np.full(15, 0.5), np.full(45, 100.0)], np.r_[np.full(15, 0.5), np.full(45, 3.0)]
    assert log_chance_sets(far, 1.5, EXTENT) < log(1e-4) < log_chance_sets(near, 1.5, EXTENT)


@pytest.mark.parametrize("seed", range(4))
def test_the_share_of_uniform_matches_near_their_epipolar_lines_is_bounded(seed):
    rng = np.random.default_rng(seed)
    motion = EssentialMotion(so3_exp(rng.normal(size=3) * 0.3), cv2.normalize(rng.normal(size=3), None).ravel())
    pairs, _ = ray_pairs(uniform_points(rng, 20_000), uniform_points(rng, 20_000), CAMERA, CAMERA)
    near = np.abs(motion.residuals(pairs)[:, 0]) < 1.5
    assert near.mean() < 1.2 * 2 * 1.5 / EXTENT
    assert near.mean() > 0.2 * 2 * 1.5 / EXTENT  # no empty bound


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [60, 1000])
def test_wrong_matches_alone_give_no_pose(count, seed):
    """The matches of 60 are displaced alike, as those of similar places are; those of 1000 are uniform."""
    rng = np.random.default_rng(seed)
    points0 = uniform_points(rng, count)
    displaced = points0 + rng.normal(0, 40, 2) + rng.normal(0, 15, (count, 2))
    points1 = displaced.clip(0, [WIDTH - 1, HEIGHT - 1]) if count == 60 else uniform_points(rng, count)
    pose = estimate_relative_pose(points0, points1, CAMERA, CAMERA)
    assert pose.geometry == Geometry.FAILED
    assert pose.reason


def test_forty_right_matches_among_a_hundred_wrong_ones_give_their_pose():
    rng = np.random.default_rng(3)
    points = np.column_stack([uniform_points(rng, 40), np.ones(40)]) @ np.linalg.inv(CAMERA.matrix).T
    points *= rng.uniform(5, 15, (40, 1))
    rotation, translation = so3_exp(np.array([0.02, -0.05, 0.1])), np.array([0.8, 0.2, 0.1])
    views = [(view / view[:, 2:]) @ CAMERA.matrix.T for view in (points, (points - translation) @ rotation)]
    right0, right1 = (view[:, :2] + rng.normal(0, 0.3, (40, 2)) for view in views)
    points0 = np.r_[right0, uniform_points(rng, 100)]
    points1 = np.r_[right1, uniform_points(rng, 100)]
    pose = estimate_relative_pose(points0, points1, CAMERA, CAMERA)
    assert pose.geometry == Geometry.GENERAL
    np.testing.assert_allclose(pose.rotation, rotation, atol=0.02)
