"""A plane with relief: residuals, densities and heights against their definitions, and small motions over houses."""

import numpy as np
import pytest

from loftr_ros.geometry.rays import ray_pairs
from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.geometry.two_view.homography.motion import PlaneMotion
from loftr_ros.geometry.two_view.homography.relief_motion import ReliefMotion
from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.geometry.two_view.relief_fit import ahead
from perception_common.cameras.camera import Camera
from perception_common.geometry import angle_between, rotation_angle, so3_exp

CAMERA = Camera.from_matrix(np.array([[137.0, 0, 95.5], [0, 137.0, 71.5], [0, 0, 1]]), 192, 144)
ALTITUDE = 60.0  # metres
TURN = so3_exp(np.radians([0.3, -0.2, 20.0]))


def matches_of(rng, heights, t, noise=0.0):
    """Matches (N, 2), pixels, of points at heights (N,), metres, under a camera that moves by t and turns."""
    points0 = rng.uniform([4, 4], [188, 140], (len(heights), 2))
    points = np.insert(CAMERA.rays(points0), 2, 1.0, axis=1) * (ALTITUDE - heights)[:, None]
    newer = (points - t) @ TURN @ CAMERA.matrix.T
    points1 = newer[:, :2] / newer[:, 2:]
    seen = ((points1 > 0) & (points1 < [191, 143])).all(axis=1)
    return [points[seen] + noise * rng.normal(size=(seen.sum(), 2)) for points in (points0, points1)]


def true_motion(t, sigma):
    length = np.linalg.norm(t)
    distance = ALTITUDE - t[2]
    normal = TURN.T @ [0.0, 0.0, 1.0]
    return ReliefMotion.start(PlaneMotion(TURN, t / length, length / distance * normal), sigma)


def test_exact_matches_on_the_plane_have_no_residuals_and_the_stated_derivative():
    rng = np.random.default_rng(0)
    t = np.array([3.0, -8.0, 1.0])
    pairs, _ = ray_pairs(*matches_of(rng, np.zeros(80), t), CAMERA, CAMERA)
    motion = true_motion(t, 0.2)
    np.testing.assert_allclose(motion.residuals(pairs), 0, atol=1e-9)
    step = 1e-6
    for k, direction in enumerate(np.eye(8)):
        ahead_of, behind = (motion.moved(side * step * direction).residuals(pairs) for side in (1, -1))
        numeric = (ahead_of - behind) / (2 * step)
        np.testing.assert_allclose(motion.jacobian(pairs)[:, :, k], numeric, rtol=1e-4, atol=1e-3)
    weights = rng.uniform(0.1, 1, len(pairs))
    moved = motion.moved(1e-4 * rng.normal(size=8))
    expected = np.einsum("nkp,nk,n->p", moved.jacobian(pairs), moved.residuals(pairs), weights)
    np.testing.assert_allclose(moved.gradient(pairs, weights), expected)


def test_a_height_moves_a_match_along_its_line_alone():
    t = np.array([3.0, -8.0, 1.0])
    heights = np.random.default_rng(1).uniform(1, 15, 80)
    pairs, _ = ray_pairs(*matches_of(np.random.default_rng(0), heights, t), CAMERA, CAMERA)
    across, along = true_motion(t, 0.1).residuals(pairs).T
    np.testing.assert_allclose(across, 0, atol=1e-9)
    assert np.abs(along).min() > 0.1


def test_the_compressed_offset_is_the_fall_of_the_log_density():
    t = np.array([3.0, -8.0, 1.0])
    rng = np.random.default_rng(2)
    pairs, _ = ray_pairs(*matches_of(rng, rng.uniform(0, 15, 80), t, noise=0.3), CAMERA, CAMERA)
    motion = true_motion(t, 0.2)
    along = motion.residuals(pairs)[:, 1]
    peak = motion.odds(pairs) / (np.sqrt(2 * np.pi) * 0.2)
    np.testing.assert_allclose(motion.offset_densities(pairs), peak * np.exp(-0.5 * (along / 0.2) ** 2))


def test_the_shares_of_the_heights_are_learned():
    """Half of the points are on the plane, the others at heights with a standard deviation of 6 m, a tenth."""
    rng = np.random.default_rng(3)
    t = np.array([3.0, -12.0, 0.0])
    heights = np.where(rng.random(3000) < 0.5, 0.0, 6.0 * rng.normal(size=3000))
    pairs, _ = ray_pairs(*matches_of(rng, heights, t, noise=0.02), CAMERA, CAMERA)
    motion = true_motion(t, 0.02)
    for _ in range(30):
        motion = motion.relearned(pairs, np.ones(len(pairs)), 0.02)
    assert motion.shares[0] == pytest.approx(0.5, abs=0.06)
    assert motion.shares[5] == pytest.approx(0.5, abs=0.08)


def test_points_at_infinity_are_ahead_and_those_behind_are_not():
    t = np.array([3.0, -8.0, 0.0])
    rng = np.random.default_rng(4)
    plane = true_motion(t, 0.2).plane
    pairs, _ = ray_pairs(*matches_of(rng, np.zeros(60), t), CAMERA, CAMERA)
    assert ahead(plane, pairs, 0.2).all()
    behind = PlaneMotion(plane.rotation, -plane.translation, -plane.plane)  # the same homography
    assert not ahead(behind, pairs, 0.2).any()
    far, _ = ray_pairs(*matches_of(rng, np.full(60, -1e6), t), CAMERA, CAMERA)
    assert ahead(behind, far, 0.2).all()


def test_a_small_motion_over_houses_is_no_rotation():
    """1 m at 60 m of altitude while turning, where all matches err a little together, as those of a matcher do."""
    t = np.array([0.0, -1.0, 0.1])
    for seed in range(20):
        points0, points1 = houses(seed, t)
        pose = estimate_relative_pose(points0, points1, CAMERA, CAMERA)
        assert pose.geometry in (Geometry.PLANAR, Geometry.GENERAL)
        assert np.degrees(angle_between(pose.translation, t)) < 20
        assert np.degrees(rotation_angle(pose.rotation @ TURN.T)) < 0.8  # 0.95 where a rotation takes the place of t


def houses(seed, t):
    """240 matches of a settlement with 0.1 pixels of noise, and errors of some tenths that change slowly."""
    rng = np.random.default_rng(seed)
    points0 = rng.uniform([4, 4], [188, 140], (240, 2))
    rays = np.insert(CAMERA.rays(points0), 2, 1.0, axis=1)
    heights = np.zeros(240)
    for _ in range(25):
        middle, side = rng.uniform([-40, -30], [40, 30]), rng.uniform(5, 12, 2)
        heights[(np.abs(ALTITUDE * rays[:, :2] - middle) < side).all(axis=1)] = rng.uniform(5, 18)
    newer = (rays * (ALTITUDE - heights)[:, None] - t) @ TURN @ CAMERA.matrix.T
    points1 = newer[:, :2] / newer[:, 2:]
    seen = ((points1 > 0) & (points1 < [191, 143])).all(axis=1)
    points0, points1 = (p[seen] + 0.1 * rng.normal(size=(seen.sum(), 2)) for p in (points0, points1))
    x = (points1 - [96, 72]) / 96
    bends = np.column_stack([x, x[:, 0] * x[:, 1], x**2])
    return points0, points1 + bends @ (0.2 * np.random.default_rng([seed, 1]).normal(size=(5, 2)))
