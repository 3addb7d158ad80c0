"""Projection, poses and lenses against OpenCV."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flight_sim.camera import PinholeCamera, camera_pose, camera_with_fov, lens_of, world_to_camera

MODEST = settings(deadline=None, max_examples=40)
small = st.floats(-0.02, 0.02)
distortions = st.tuples(st.floats(-0.2, 0.1), st.floats(-0.02, 0.02), small, small, st.just(0.0))


@MODEST
@given(distortions, st.integers(0, 2**31))
def test_projection_equals_opencv(distortion: tuple, seed: int) -> None:
    camera = PinholeCamera(640, 480, 500.0, 510.0, 322.0, 238.0, distortion)
    points = np.random.default_rng(seed).uniform((-3, -2, 5), (3, 2, 9), (20, 3))
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera.matrix, np.array(distortion))
    np.testing.assert_allclose(camera.project(points), expected[:, 0], atol=1e-9)


@MODEST
@given(distortions)
def test_undistort_inverts_distortion(distortion: tuple) -> None:
    camera = PinholeCamera(640, 480, 500.0, 500.0, 320.0, 240.0, distortion)
    pinhole = PinholeCamera(640, 480, 500.0, 500.0, 320.0, 240.0)
    rays = np.random.default_rng(1).uniform((-0.4, -0.3, 1.0), (0.4, 0.3, 1.0), (30, 3))
    np.testing.assert_allclose(camera.undistort(camera.project(rays)), pinhole.project(rays), atol=1e-2)


@MODEST
@given(st.floats(-math.pi, math.pi), st.floats(-math.pi / 2, 0.0), st.floats(-1.0, 1.0))
def test_pose_is_a_rotation_with_the_given_angles(yaw: float, pitch: float, roll: float) -> None:
    pose = camera_pose(np.array([1.0, 2.0, 30.0]), yaw, pitch, roll)
    R = pose[:3, :3]
    np.testing.assert_allclose(R.T @ R, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1.0)
    np.testing.assert_allclose(R[2, 2], math.sin(pitch), atol=1e-12)
    ahead = pose[:3, 3] + 10.0 * np.array([math.cos(yaw), math.sin(yaw), math.tan(-1.5)])
    assert abs(world_to_camera(ahead, pose)[0]) < 1e-6 or roll != 0.0


def test_the_top_of_a_nadir_image_is_the_heading_and_it_is_not_mirrored() -> None:
    camera = camera_with_fov(640, 480, 60.0)
    pose = camera_pose(np.array([0.0, 0.0, 50.0]), math.pi / 2, -math.pi / 2)  # heading north
    north, east = (camera.project(world_to_camera(np.array(p), pose)) for p in ([0.0, 5.0, 0.0], [5.0, 0.0, 0.0]))
    assert north[1] < 200
    assert north[0] == pytest.approx(319.5)
    assert east[0] > 350
    assert east[1] == pytest.approx(239.5)


def test_the_grid_of_a_lens_inverts_the_distortion() -> None:
    camera = camera_with_fov(320, 240, 75.0, (-0.12, 0.02, 0.001, -0.002, 0.0))
    lens = lens_of(camera)
    assert lens.grid.shape == (240, 320, 2)
    assert lens.grid.min() >= 0
    assert (lens.grid.max(axis=(0, 1)) <= [lens.undistorted.width - 1, lens.undistorted.height - 1]).all()
    grid = lens.grid.astype(np.float64)
    rays = np.dstack([(grid - [lens.undistorted.cx, lens.undistorted.cy]) / camera.fx, np.ones((240, 320))])
    expected = np.dstack(np.meshgrid(np.arange(320), np.arange(240)))
    assert np.abs(camera.project(rays) - expected).max() < 0.01
