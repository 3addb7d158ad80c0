"""Drawing on images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception_common.images.drawing import (
    BLACK,
    UNTRAINED,
    WHITE,
    TextBox,
    as_canvas,
    confidence_colors,
    contrasting,
    draw_banner,
    draw_box,
    draw_dashed_box,
    draw_dots,
    draw_segments,
    draw_text,
    fill,
    measure_text,
    pen_for,
)


def gray(height=200, width=400):
    return np.full((height, width, 3), 90, np.uint8)


def changed(canvas):
    """Return the mask (H, W) bool of pixels that differ from gray()."""
    return (canvas != 90).any(axis=2)


def test_sizes_scale_with_the_image():
    small, large = pen_for(640, 480), pen_for(1920, 1440)
    assert large.font == pytest.approx(3 * small.font)
    assert large.line == 4
    assert pen_for(10, 10).font > 0.25  # still readable


@settings(deadline=None, max_examples=50)
@given(
    text=st.text(max_size=12), x=st.integers(-50, 450), y=st.integers(-50, 250), scale=st.sampled_from([320, 640, 1920])
)
def test_text_stays_in_its_box_at_any_position(text, x, y, scale):
    canvas = gray()
    box = draw_text(canvas, text, (x, y), pen_for(scale, scale * 3 // 4))
    assert box == measure_text(text, (x, y), pen_for(scale, scale * 3 // 4))
    rows, columns = np.nonzero(changed(canvas))
    if len(rows):
        assert rows.min() >= box.y0
        assert rows.max() < box.y1
        assert columns.min() >= box.x0
        assert columns.max() < box.x1


def test_text_is_written_in_its_box():
    canvas = gray()
    box = draw_text(canvas, "IIII", (10, 10), pen_for(640, 480), background=(0, 0, 0), opacity=1.0)
    inside = canvas[box.y0 : box.y1, box.x0 : box.x1]
    assert (inside > 200).any()
    assert (inside < 20).any()


@pytest.mark.parametrize(("background", "expected"), [((255, 230, 0), BLACK), ((20, 20, 120), WHITE)])
def test_letters_contrast_with_the_background(background, expected):
    assert contrasting(background) == expected


def test_filling_blends():
    canvas = gray()
    fill(canvas, TextBox(1, 2, 3, 4), (190, 90, 0), 0.5)
    np.testing.assert_array_equal(canvas[2:4, 1:3], np.broadcast_to([140, 90, 45], (2, 2, 3)))
    assert changed(canvas).sum() == 4


@pytest.mark.parametrize("width", [100, 400, 1920])
def test_the_banner_covers_the_lower_edge_only(width):
    canvas = gray(width=width)
    draw_banner(canvas, UNTRAINED, pen_for(width, 200))
    rows = np.flatnonzero(changed(canvas).all(axis=1))
    assert rows[-1] == 199
    assert 5 < len(rows) < 80
    assert not changed(canvas)[: rows[0]].any()


def test_lines_and_boxes_have_the_right_position():
    canvas = gray()
    draw_box(canvas, np.array([50.0, 40.0, 150.0, 100.0]), WHITE, 1)
    mask = changed(canvas)
    assert mask[40, 50:151].all()
    assert mask[40:101, 150].all()
    assert not mask[45:95, 55:145].any()


def test_a_dashed_box_has_gaps():
    canvas = gray()
    draw_dashed_box(canvas, np.array([50.0, 40.0, 250.0, 140.0]), WHITE, pen_for(640, 480))
    edge = changed(canvas)[40, 60:240]
    assert 0.3 < edge.mean() < 0.95


def test_crossings_of_lines_are_not_more_opaque():
    canvas = np.zeros((101, 101, 3), np.uint8)
    starts, ends = np.array([[0.0, 50.0], [50.0, 0.0]]), np.array([[100.0, 50.0], [50.0, 100.0]])
    draw_segments(canvas, starts, ends, np.full((2, 3), 200, np.uint8), 1, opacity=0.5)
    assert 85 <= canvas[50, 20, 0] <= 100
    assert 85 <= canvas[20, 50, 0] <= 100
    assert canvas[50, 50, 0] <= 100  # and not 150


def test_dots_have_the_given_colour():
    canvas = gray()
    draw_dots(canvas, np.array([[20.0, 30.0], [60.0, 30.0]]), np.array([[255, 0, 0], [0, 255, 0]], np.uint8), 3)
    assert canvas[30, 20].tolist() == [255, 0, 0]
    assert canvas[30, 60].tolist() == [0, 255, 0]


def test_confidence_runs_from_amber_to_cyan():
    colors = confidence_colors(np.array([0.0, 0.5, 1.0, -1.0, 2.0, np.nan]))
    assert colors.tolist()[:3] == [[255, 193, 7], [118, 235, 60], [0, 229, 255]]
    assert colors.tolist()[3:] == [[255, 193, 7], [0, 229, 255], [255, 193, 7]]
    assert confidence_colors(np.empty(0)).shape == (0, 3)


def test_a_canvas_is_a_copy_in_rgb():
    image = np.full((4, 5), 7, np.uint8)
    canvas = as_canvas(image)
    assert canvas.shape == (4, 5, 3)
    color = gray()[:, ::-1]
    copy = as_canvas(color)
    copy[:] = 0
    assert (color == 90).all()
    assert copy.flags.c_contiguous
