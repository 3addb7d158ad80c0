"""Pictures of matches."""

import numpy as np
import pytest

from loftr_ros.drawing import MAX_INLIER_LINES, OUTLIER, draw_matches
from perception_common.images.drawing import confidence_colors, pen_for


def gray(height=480, width=640):
    return np.full((height, width, 3), 90, np.uint8)


def gap_of(height, width0, width1):
    return pen_for(width0 + width1, height).pad


NO_MATCHES = (np.empty((0, 2)), np.empty((0, 2)), np.empty(0))


def test_the_images_lie_side_by_side():
    left, right = gray(), np.full((300, 400, 3), 150, np.uint8)
    picture = draw_matches(left, right, *NO_MATCHES)
    offset = 640 + gap_of(480, 640, 400)
    assert picture.shape == (480, offset + 400, 3)
    assert (picture[100:, :640] == 90).all()
    assert (picture[:300, offset:] == 150).all()
    assert (picture[300:, offset:] < 60).all()  # nothing there


def test_a_match_joins_its_two_points_in_the_colour_of_its_confidence():
    offset = 640 + gap_of(480, 640, 640)
    picture = draw_matches(
        gray(), gray(), np.array([[100.0, 300.0]]), np.array([[200.0, 300.0]]), np.array([1.0]), np.array([True])
    )
    cyan = confidence_colors(np.array([1.0]))[0]
    np.testing.assert_array_equal(picture[300, 100], cyan)
    np.testing.assert_array_equal(picture[300, 200 + offset], cyan)
    line = picture[300, 300].astype(float)
    np.testing.assert_allclose(line, 0.25 * 90 + 0.75 * cyan, atol=15)  # lines are anti-aliased
    assert (picture[310:, :] == 90)[:, :640].all()


def test_outliers_are_red_and_fainter():
    picture = draw_matches(
        gray(), gray(), np.array([[100.0, 300.0]]), np.array([[200.0, 300.0]]), np.array([1.0]), np.array([False])
    )
    np.testing.assert_array_equal(picture[300, 100], OUTLIER)
    np.testing.assert_allclose(picture[300, 300].astype(float), 0.5 * 90 + 0.5 * np.array(OUTLIER), atol=15)


def test_every_match_has_its_dots_even_where_lines_are_left_out():
    x, y = np.meshgrid(np.arange(20, 620, 20), np.arange(120, 460, 20))
    points = np.stack([x, y], axis=-1).reshape(-1, 2).astype(float)
    assert len(points) > 2 * MAX_INLIER_LINES
    picture = draw_matches(gray(), gray(), points, points, np.full(len(points), 0.5))
    expected = confidence_colors(np.array([0.5]))[0]
    for x0, y0 in points.astype(int):
        np.testing.assert_array_equal(picture[y0, x0], expected)


def test_the_images_stay_as_they_were():
    left, right = gray(), gray()
    draw_matches(left, right, np.array([[1.0, 2]]), np.array([[3.0, 4]]), np.array([0.5]), title="t", trained=False)
    assert (left == 90).all()
    assert (right == 90).all()


def test_untrained_weights_are_shown_across_the_picture():
    picture = draw_matches(gray(), gray(), *NO_MATCHES, trained=False)
    assert (picture[-10:].mean(axis=(0, 1)) @ [1, -0.5, -0.5]) > 80  # red


@pytest.mark.parametrize("shape", [(60, 80), (480, 640), (900, 1600)])
def test_gray_images_of_any_size_become_colour_pictures(shape):
    image = np.zeros(shape, np.uint8)
    picture = draw_matches(image, image, np.array([[5.0, 50]]), np.array([[70.0, 20]]), np.array([0.2]), title="pair")
    assert picture.shape == (shape[0], 2 * shape[1] + gap_of(shape[0], shape[1], shape[1]), 3)
