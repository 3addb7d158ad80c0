"""Wrong matches near their epipolar line by chance, far from where their neighbours moved."""

import numpy as np

from loftr_ros.geometry.rays import ray_pairs
from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.geometry.two_view.relative_pose import Geometry, TwoViewSettings
from loftr_ros.geometry.two_view.relief import weighed_by_relief
from perception_common.cameras.camera import Camera

CAMERA = Camera.from_matrix(np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), 640, 480)


def sideways(seed, far, noise=1.0, count=300):
    """Matches (N, 2), pixels, of ground and roofs for a camera that moves to the right.

    The first `far` matches are wrong: on their epipolar line, but uniform along it.
    """
    rng = np.random.default_rng(seed)
    points0 = rng.uniform([0, 0], [640, 480], (count, 2))
    depth = np.where(rng.random(count) < 0.7, 40.0, rng.uniform(20, 40, count))
    points1 = points0 - np.column_stack([500 * 3.0 / depth, np.zeros(count)])
    points1[:far, 0] = rng.uniform(0, 640, far)
    return points0 + noise * rng.normal(size=(count, 2)), points1 + noise * rng.normal(size=(count, 2))


def test_matches_far_along_their_line_get_low_odds_and_roofs_do_not():
    points0, points1 = sideways(0, far=30)
    pairs, _ = ray_pairs(points0, points1, CAMERA, CAMERA)
    ground = np.eye(3)
    ground[0, 2] = 3.0 / 40.0  # x0 = x1 + baseline / depth
    weighed = weighed_by_relief(pairs, ground, np.full(len(pairs), 0.99))
    off = np.abs(points0[:, 0] - points1[:, 0] - 37.5)
    assert weighed.odds[30:].min() > 0.1  # roofs
    assert weighed.odds[:30][off[:30] > 250].max() < 1e-3
    assert (pairs.odds == 1).all()


def test_matches_far_along_their_line_do_not_bias_the_direction():
    errors = []
    for seed in range(20):
        pose = estimate_relative_pose(*sideways(seed, far=30), CAMERA, CAMERA, TwoViewSettings(threshold=1.5))
        assert pose.geometry in (Geometry.GENERAL, Geometry.PLANAR)
        error = np.array([1.0, 0, 0]) - pose.translation
        errors.append(error @ np.linalg.solve(pose.covariance[:3, :3], error) / 2)
    assert np.mean(errors) < 1.6
