"""Wrong matches that fall near their epipolar line by chance, far from where their neighbours went."""

import numpy as np

from loftr_ros.geometry.rays import ray_pairs
from loftr_ros.geometry.two_view.estimation import Geometry, TwoViewSettings, estimate_relative_pose
from loftr_ros.geometry.two_view.relief import weighed_by_relief
from perception_common.cameras.camera import Camera

CAMERA = Camera.from_matrix(np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), 640, 480)


def sideways(seed, far, noise=1.0, count=300):
    """Views of ground and roofs from one point and from one to the right of it; `far` of the matches are wrong and lie
    on their epipolar line but anywhere along it.
    """
    rng = np.random.default_rng(seed)
    points0 = rng.uniform([0, 0], [640, 480], (count, 2))
    depth = np.where(rng.random(count) < 0.7, 40.0, rng.uniform(20, 40, count))
    points1 = points0 - np.column_stack([500 * 3.0 / depth, np.zeros(count)])
    points1[:far, 0] = rng.uniform(0, 640, far)
    return points0 + noise * rng.normal(size=(count, 2)), points1 + noise * rng.normal(size=(count, 2))


def test_matches_far_along_their_line_are_unlikely_and_roofs_are_not():
    points0, points1 = sideways(0, far=30)
    pairs, _ = ray_pairs(points0, points1, CAMERA, CAMERA)
    ground = np.eye(3)
    ground[0, 2] = 3.0 / 40.0  # x0 = x1 + baseline / depth
    weighed = weighed_by_relief(pairs, ground, np.full(len(pairs), 0.99))
    off = np.abs(points0[:, 0] - points1[:, 0] - 37.5)
    assert weighed.odds[30:].min() > 0.1  # roofs
    assert weighed.odds[:30][off[:30] > 250].max() < 1e-3
    assert (pairs.odds == 1).all()


def test_they_do_not_turn_the_direction():
    errors = []
    for seed in range(20):
        pose = estimate_relative_pose(*sideways(seed, far=30), CAMERA, CAMERA, TwoViewSettings(threshold=1.5))
        assert pose.geometry in (Geometry.GENERAL, Geometry.PLANAR)
        error = np.array([1.0, 0, 0]) - pose.translation
        errors.append(error @ np.linalg.solve(pose.covariance[:3, :3], error) / 2)
    assert np.mean(errors) < 1.6
