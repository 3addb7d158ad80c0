"""Triangulation of known points, and agreement with OpenCV."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.geometry.multiview import camera_points, triangulate
from perception_common.geometry import inverse, so3_exp, transform

vectors = st.tuples(*[st.floats(-0.4, 0.4)] * 3).map(np.array)


def seen(points, T):
    """Rays (M, V, 2) of points (M, 3) in cameras (V, 4, 4), T_camera_world."""
    views = np.einsum("vij,mj->mvi", T[:, :3, :3], points) + T[:, :3, 3]
    return views[..., :2] / views[..., 2:]


def cameras(motions):
    return np.array([inverse(transform(so3_exp(turn), 2 * shift)) for turn, shift in motions])


def points(count, seed=0):
    return np.random.default_rng(seed).uniform([-3, -3, 6], [3, 3, 12], (count, 3))


def repeated(T, count):
    return np.broadcast_to(T, (count, *T.shape))


@given(st.lists(st.tuples(vectors, vectors), min_size=2, max_size=6), vectors)
@settings(deadline=None)
def test_exact_rays_give_the_point_in_any_world_frame(motions, origin):
    motions = [(np.zeros(3), np.zeros(3)), *motions, (np.zeros(3), np.array([0.5, 0, 0]))]
    world = transform(so3_exp(origin), 1000 * origin)  # far from all cameras
    T, scene = cameras(motions), points(20)
    X = triangulate(seen(scene, T), repeated(T @ inverse(world), 20))
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1)
    np.testing.assert_allclose(X[:, :3] / X[:, 3:], scene @ world[:3, :3].T + world[:3, 3], atol=1e-4)
    assert (camera_points(X, repeated(T @ inverse(world), 20))[..., 2] > 0).all()


@given(vectors, st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_two_noisy_views_agree_with_opencv(turn, seed):
    T = cameras([(np.zeros(3), np.zeros(3)), (turn, np.array([0.5, 0.1, 0.0]))])
    scene = points(10, seed)
    rays = seen(scene, T) + np.random.default_rng(seed).normal(0, 1e-3, (10, 2, 2))
    oracle = cv2.triangulatePoints(T[0, :3], T[1, :3], rays[:, 0].T, rays[:, 1].T).T
    X = triangulate(rays, repeated(T, 10))
    np.testing.assert_allclose(X[:, :3] / X[:, 3:], oracle[:, :3] / oracle[:, 3:], rtol=1e-5, atol=1e-5)


def test_a_point_at_infinity_and_one_behind():
    T = cameras([(np.zeros(3), np.zeros(3)), (np.zeros(3), np.array([0.5, 0, 0]))])
    rays = np.array([[[0.1, 0.2], [0.1, 0.2]], [[-0.05, 0.0], [0.05, 0.0]]])
    X = triangulate(rays, repeated(T, 2))
    np.testing.assert_allclose(X[0, 3], 0, atol=1e-12)
    assert (camera_points(X, repeated(T, 2))[1, :, 2] < 0).all()


def test_no_tracks():
    assert triangulate(np.zeros((0, 2, 2)), np.zeros((0, 2, 4, 4))).shape == (0, 4)
