"""Quarter turns of images, points, cells and cameras, against np.rot90 and projection."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loftr_ros.turning.quarter_turns import (
    turn_camera_matrix,
    turn_cells_back,
    turn_image,
    turn_matrix,
    turn_points,
    turn_points_back,
    turn_rotation,
    turned_size,
)
from perception_common.errors import InputError

turns_of_any_sign = st.integers(-9, 9)
sides = st.integers(1, 12)


def pixels_of(image):
    """All pixels (x, y) of an image, row by row."""
    rows, columns = np.indices(image.shape)
    return np.stack([columns.ravel(), rows.ravel()], axis=1)


@given(turns_of_any_sign, sides, sides)
def test_a_turned_image_has_no_negative_strides(turns, width, height):
    """torch refuses them, also along a side of one pixel."""
    assert min(turn_image(np.zeros((height, width), np.uint8), turns).strides) > 0


@given(turns_of_any_sign, sides, sides)
def test_a_point_of_the_turned_image_shows_what_it_showed_before(turns, width, height):
    image = np.arange(width * height).reshape(height, width)
    turned = turn_image(image, turns)
    np.testing.assert_array_equal(turned, np.rot90(image, turns))
    assert turned.flags.c_contiguous
    assert turned.shape[::-1] == turned_size((width, height), turns)
    points = pixels_of(image)
    x, y = turn_points(points, turns, (width, height)).T
    np.testing.assert_array_equal(turned[y, x], image.ravel())
    np.testing.assert_array_equal(turn_points_back(np.stack([x, y], 1), turns, (width, height)), points)


@pytest.mark.parametrize(
    ("turns", "expected"), [(0, (1.25, 2.5)), (1, (2.5, 8 - 1.25)), (2, (8 - 1.25, 6 - 2.5)), (3, (6 - 2.5, 1.25))]
)
def test_points_between_pixels_follow_the_closed_form(turns, expected):
    """Of an image of 9 x 7 pixels: the last pixel is at (8, 6)."""
    (found,) = turn_points(np.array([[1.25, 2.5]], np.float32), turns, (9, 7))
    np.testing.assert_array_equal(found, np.float32(expected))
    assert found.dtype == np.float32
    mapped = turn_matrix(turns, (9, 7)) @ [1.25, 2.5, 1]
    np.testing.assert_array_equal(mapped, [*expected, 1])


@given(turns_of_any_sign, sides, sides, st.integers(0, 3))
def test_cells_are_those_of_the_grid_before_the_turn(turns, columns, rows, padding):
    """The cells are numbered in the grid, and the grid is turned like an image; padding lengthens the rows of both."""
    numbers = np.pad(np.arange(rows * columns).reshape(rows, columns), ((0, 0), (0, padding)), constant_values=-1)
    longer = columns + padding
    numbers[:, :columns] = np.arange(rows)[:, None] * longer + np.arange(columns)
    turned = np.rot90(numbers[:, :columns], turns)
    y, x = np.divmod(np.arange(turned.size), turned.shape[1])
    cells = y * (turned.shape[1] + padding) + x
    found = turn_cells_back(cells, turns, (columns, rows), turned.shape[1] + padding, longer)
    np.testing.assert_array_equal(found if turns % 4 else turned.ravel(), turned.ravel())


@given(turns_of_any_sign)
def test_a_turned_camera_sees_points_where_the_turned_image_shows_them(turns):
    K = np.array([[500.0, 0, 310], [0, 480, 250], [0, 0, 1]])
    X = np.random.default_rng(0).uniform([-1, -1, 4], [1, 1, 9], (20, 3))
    size = 640, 500

    def project(K, X):
        x = X @ K.T
        return x[:, :2] / x[:, 2:]

    turned = project(turn_camera_matrix(K, turns, size), X @ turn_rotation(turns).T)
    np.testing.assert_allclose(turned, turn_points(project(K, X), turns, size), atol=1e-9)
    assert np.linalg.det(turn_rotation(turns)) == pytest.approx(1)


def test_a_camera_with_skew_is_not_turned():
    K = np.array([[500.0, 2, 310], [0, 480, 250], [0, 0, 1]])
    np.testing.assert_array_equal(turn_camera_matrix(K, 0, (640, 500)), K)
    with pytest.raises(InputError, match="skew"):
        turn_camera_matrix(K, 1, (640, 500))
