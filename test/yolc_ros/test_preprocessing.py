"""Padding and coordinates: sizes, positions of pixels, boxes to the input and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolc_ros.preprocessing import limiting_scale, place, render

SIDES = st.integers(1, 2500)
BOXES = st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=5)


@settings(deadline=None, max_examples=200)
@given(width=SIDES, height=SIDES, boxes=BOXES, padding=st.sampled_from(["plain", "release"]))
def test_boxes_come_back_from_padded_inputs(width, height, boxes, padding):
    check_round_trip(width, height, boxes, padding, 1.0)


@settings(deadline=None, max_examples=200)
@given(width=SIDES, height=SIDES, boxes=BOXES, max_side=st.integers(32, 1500))
def test_boxes_come_back_from_resized_inputs(width, height, boxes, max_side):
    check_round_trip(width, height, boxes, "plain", limiting_scale(width, height, max_side))


@settings(deadline=None, max_examples=100)
@given(width=SIDES, height=SIDES, boxes=BOXES, scale=st.floats(0.25, 3))
def test_boxes_come_back_from_enlarged_inputs(width, height, boxes, scale):
    check_round_trip(width, height, boxes, "release", scale)


def check_round_trip(width, height, boxes, padding, scale):
    placement = place(width, height, padding, scale)
    boxes = np.array(boxes, np.float32) * np.array([width, height] * 2, np.float32)
    inside = placement.to_input(boxes)
    input_width, input_height = placement.input_size
    assert input_width % 32 == input_height % 32 == 0
    assert (inside >= 0).all()
    assert (inside <= np.array([input_width, input_height] * 2) + 1e-3).all()
    back = placement.to_image(inside)
    assert back.dtype == np.float32
    assert np.abs(back - boxes).max() <= 0.01


@pytest.mark.parametrize(
    ("size", "padding", "input_size", "offset"),
    [
        ((641, 479), "plain", (672, 480), (0, 0)),
        ((640, 480), "plain", (640, 480), (0, 0)),
        ((640, 480), "release", (672, 512), (16, 16)),  # a multiple of 32 grows too
        ((641, 479), "release", (672, 480), (16, 1)),  # 336 - 320, 240 - 239
        ((1023, 31), "release", (1024, 32), (1, 1)),
    ],
)
def test_the_size_and_position_of_the_image(size, padding, input_size, offset):
    placement = place(*size, padding)
    assert placement.input_size == input_size
    assert placement.offset == offset
    assert placement.scale == (1, 1)


@pytest.mark.parametrize("padding", ["plain", "release"])
def test_pixels_and_boxes_are_mapped_alike(padding):
    image = np.random.default_rng(0).integers(1, 255, (37, 51, 3), dtype=np.uint8)
    placement = place(51, 37, padding)
    canvas = render(image, placement)
    x0, y0, x1, y1 = placement.to_input(np.array([[0.0, 0.0, 51.0, 37.0]]))[0].astype(int)
    np.testing.assert_array_equal(canvas[y0:y1, x0:x1], image)
    assert canvas.sum() == image.sum()  # black everywhere else
    assert canvas.shape == (placement.input_size[1], placement.input_size[0], 3)


def test_a_resized_rectangle_lies_at_its_mapped_box():
    image = np.zeros((211, 333, 3), np.uint8)
    image[60:120, 90:210] = 255
    placement = place(333, 211, "plain", 0.5)
    canvas = render(image, placement)[..., 0]
    ys, xs = np.nonzero(canvas > 127)
    found = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    assert np.abs(placement.to_input(np.array([[90.0, 60.0, 210.0, 120.0]]))[0] - found).max() <= 0.5


def test_the_size_limit_never_enlarges():
    assert limiting_scale(1920, 1080, 960) == 0.5
    assert limiting_scale(1080, 1920, 960) == 0.5
    assert limiting_scale(640, 480, 960) == 1.0
    assert limiting_scale(4000, 3000, 0) == 1.0


@pytest.mark.parametrize("arguments", [(0, 10), (10, 0), (10, 10, "plain", 0.0)])
def test_empty_images_and_scales_are_refused(arguments):
    with pytest.raises(ValueError, match="cannot place"):
        place(*arguments)


def test_the_smallest_image_is_padded():
    assert place(1, 1, "plain", 0.1).input_size == (32, 32)
    assert render(np.full((1, 1, 3), 7, np.uint8), place(1, 1))[0, 0].tolist() == [7, 7, 7]
