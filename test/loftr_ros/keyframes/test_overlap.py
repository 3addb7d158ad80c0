"""Overlap, displacement, parallax and rotation of matches whose truth is known."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.geometry.two_view.relative_pose import TwoViewSettings
from loftr_ros.keyframes.overlap import (
    measure_view_change,
    median_displacement,
    median_parallax_deg,
    motion_deg,
    overlap,
)
from loftr_ros.matches import Matches
from perception_common.cameras.camera import Camera
from perception_common.geometry import so3_exp

SIZE = (640, 480)
CAMERA = Camera.from_matrix(np.array([[600.0, 0, 319.5], [0, 600, 239.5], [0, 0, 1]]), *SIZE)
NONE = np.zeros((0, 2))
ONE_PIXEL = TwoViewSettings(threshold=1.0)


def seen_by_both(H, count=400, seed=0):
    """Random pixels of image 0 that H takes into image 1, and where it takes them."""
    rng = np.random.default_rng(seed)
    points0 = rng.uniform(0, np.array(SIZE) - 1, (count, 2))
    points1 = cv2.perspectiveTransform(points0[None], H)[0]
    inside = np.all((points1 > 0) & (points1 < np.array(SIZE) - 1), axis=1)
    return points0[inside], points1[inside]


def views(rotation, translation, count=500, seed=0):
    """Pixels of a deep scene in two cameras; the newer one has this pose in the older one."""
    points = np.random.default_rng(seed).uniform([-6, -5, 6], [6, 5, 14], (count, 3))
    pixels = [p[:, :2] / p[:, 2:] * 600 + [319.5, 239.5] for p in (points, (points - translation) @ rotation)]
    inside = np.logical_and.reduce([np.all((p > 0) & (p < np.array(SIZE) - 1), axis=1) for p in pixels])
    return pixels[0][inside], pixels[1][inside]


def matches_of(points0, points1):
    nothing = np.zeros(len(points0), np.float32)
    return Matches(points0, points1, nothing + 1, nothing + 1, nothing, nothing, SIZE, SIZE)


def test_displacement_is_a_fraction_of_the_long_side():
    points = np.array([[0.0, 0], [10, 0], [20, 0]])
    assert median_displacement(points, points + np.array([30, 40]), 500) == pytest.approx(0.1)
    assert median_displacement(NONE, NONE, 500) == 0


@given(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6))
@settings(deadline=None, max_examples=30)
def test_overlap_of_a_shift(x, y):
    H = np.array([[1.0, 0, x * SIZE[0]], [0, 1, y * SIZE[1]], [0, 0, 1]])
    true = (1 - abs(x)) * (1 - abs(y))
    assert overlap(*seen_by_both(H, 800), SIZE, SIZE) == pytest.approx(true, abs=0.03)


def test_overlap_does_not_care_for_outliers_nor_where_the_texture_is():
    rng = np.random.default_rng(0)
    H = np.array([[1.0, 0, -0.3 * SIZE[0]], [0, 1, 0], [0, 0, 1]])
    points0, points1 = seen_by_both(H, 1000)
    half = points0[:, 1] < SIZE[1] / 2  # the rest is water
    points0, points1 = points0[half], points1[half] + rng.normal(0, 1, points1[half].shape)
    wrong = rng.random(len(points0)) < 0.3
    points1[wrong] = rng.uniform(0, SIZE, (wrong.sum(), 2))
    assert overlap(points0, points1, SIZE, SIZE) == pytest.approx(0.7, abs=0.05)


def test_overlap_with_a_camera_that_flies_away_is_whole():
    H = np.array([[0.5, 0, 160], [0, 0.5, 120], [0, 0, 1]])
    assert overlap(*seen_by_both(H), SIZE, SIZE) == 1
    assert overlap(*seen_by_both(np.linalg.inv(H), 2000), SIZE, SIZE) == pytest.approx(0.25, abs=0.03)


def test_overlap_where_most_of_the_image_turns_out_of_sight():
    turn = so3_exp(np.array([0.0, np.radians(50), 0.0]))
    H = CAMERA.matrix @ turn @ np.linalg.inv(CAMERA.matrix)
    points0, points1 = seen_by_both(H, 20_000)
    assert overlap(points0, points1, SIZE, SIZE) == pytest.approx(len(points0) / 20_000, abs=0.02)


def test_overlap_without_a_homography():
    rng = np.random.default_rng(1)
    assert overlap(NONE, NONE, SIZE, SIZE) == 0
    assert overlap(np.array([[3.0, 3]]), np.array([[3.0, 3]]), SIZE, SIZE) == 1 / 64
    assert overlap(rng.uniform(0, 60, (200, 2)), rng.uniform(0, SIZE, (200, 2)), SIZE, SIZE) <= 1 / 64 + 1e-9


@given(st.tuples(*[st.floats(-0.15, 0.15)] * 3))
@settings(deadline=None, max_examples=30)
def test_a_rotation_has_no_parallax(vector):
    rotation = so3_exp(np.array(vector))
    points0, points1 = views(rotation, np.zeros(3))
    assert median_parallax_deg(points0, points1, CAMERA, CAMERA, rotation) == pytest.approx(0, abs=1e-6)


def test_parallax_of_a_point_between_two_cameras_is_the_angle_at_the_point():
    # half way between cameras 1 apart, at a depth of 10: 600 * 0.5 / 10 pixels from either principal point
    points0, points1 = np.array([[319.5 + 30, 239.5]]), np.array([[319.5 - 30, 239.5]])
    true = np.degrees(2 * np.arctan(0.5 / 10))
    assert median_parallax_deg(points0, points1, CAMERA, CAMERA, np.eye(3)) == pytest.approx(true)


def test_motion_of_a_deep_scene():
    rotation, translation = so3_exp(np.array([0.02, -0.05, 0.2])), np.array([1.0, 0.3, 0.0])
    points0, points1 = views(rotation, translation)
    turned, seen_from = motion_deg(points0, points1, CAMERA, CAMERA, ONE_PIXEL)
    assert turned == pytest.approx(np.degrees(np.linalg.norm([0.02, -0.05, 0.2])), abs=0.05)
    true = median_parallax_deg(points0, points1, CAMERA, CAMERA, rotation)
    assert seen_from == pytest.approx(true, rel=0.05)


def test_a_tracking_knows_rotation_and_parallax_only_of_known_cameras():
    matches = matches_of(*views(so3_exp(np.array([0.0, 0, 0.3])), np.array([1.0, 0, 0])))
    unknown = measure_view_change(matches, 0.5)
    assert (unknown.parallax_deg, unknown.rotation_deg) == (None, None)
    assert unknown.matches == len(matches)
    known = measure_view_change(matches, 0.5, CAMERA, CAMERA, settings=ONE_PIXEL)
    assert known.rotation_deg == pytest.approx(np.degrees(0.3), abs=0.05)
    assert known.overlap == unknown.overlap
    few = measure_view_change(matches_of(NONE, NONE), 0.5, CAMERA, CAMERA, settings=ONE_PIXEL)
    assert (few.matches, few.overlap, few.displacement, few.parallax_deg) == (0, 0.0, 0.0, None)
