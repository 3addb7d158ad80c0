"""Flip, rotation, scale and crop: boxes follow their objects."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolc_ros.datasets.samples import ImageLabels, Sample
from yolc_ros.training.augmentation.views import KeepRule, View, show, transform_boxes, transform_truth

RULE = KeepRule(visible=0.4, smallest_side=3.0)


def sample_of(boxes: list[tuple[int, int, int, int]], width: int = 200, height: int = 120) -> Sample:
    image = np.full((height, width, 3), 30, np.uint8)
    for x0, y0, x1, y1 in boxes:
        image[y0:y1, x0:x1] = 255
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    truth = ImageLabels(rows, np.arange(len(rows)), np.zeros((0, 4), np.float32), np.ones(10, dtype=bool))
    return Sample("drawn", image, truth)


def white_extent(image: np.ndarray) -> np.ndarray:
    ys, xs = np.nonzero(image[..., 0] > 142)
    return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])


@settings(deadline=None, max_examples=60)
@given(st.sampled_from([0, 1, 2, 3]), st.booleans(), st.floats(0.4, 2.5), st.integers(60, 140), st.integers(40, 80))
def test_boxes_follow_their_objects(quarters: int, mirror: bool, scale: float, x: int, y: int) -> None:
    view = View((x - 10.0, y + 5.0), scale, quarters * math.pi / 2, mirror)
    shown = show(sample_of([(x - 16, y - 8, x + 16, y + 8)]), view, 256, 224, RULE)
    assert shown.image.shape == (224, 256, 3)
    assert np.abs(shown.truth.boxes[0] - white_extent(shown.image)).max() <= 1.0


def test_identity_changes_no_pixel() -> None:
    sample = sample_of([(20, 30, 60, 70)])
    shown = show(sample, View((100.0, 60.0)), 200, 120, RULE)
    assert np.array_equal(shown.image, sample.image)
    assert np.array_equal(shown.truth.boxes, sample.truth.boxes)


def test_mirroring_keeps_left_and_right_of_boxes_in_order() -> None:
    shown = show(sample_of([(20, 30, 60, 70), (100, 30, 140, 70)]), View((100.0, 60.0), mirror=True), 200, 120, RULE)
    assert shown.truth.boxes.tolist() == [[140, 30, 180, 70], [60, 30, 100, 70]]


@settings(deadline=None, max_examples=60)
@given(st.floats(-3.2, 3.2), st.floats(4, 60), st.floats(4, 60))
def test_a_rotated_box_encloses_the_rotated_object_as_in_opencv(turn: float, w: float, h: float) -> None:
    matrix = View((0.0, 0.0), 1.0, turn).matrix(0, 0)
    (got,) = transform_boxes(np.array([[-w / 2, -h / 2, w / 2, h / 2]], np.float32), matrix)
    corners = cv2.boxPoints(((0, 0), (w, h), math.degrees(turn)))
    assert got == pytest.approx([*corners.min(0), *corners.max(0)], abs=1e-3)


def test_the_box_of_a_rotated_square_grows_as_documented() -> None:
    square = np.array([[-1, -1, 1, 1]], np.float32)
    for degrees, growth in ((45, 1.41), (10, 1.16)):
        grown = transform_boxes(square, View((0.0, 0.0), 1.0, math.radians(degrees)).matrix(0, 0))[0, 2]
        assert grown == pytest.approx(growth, abs=0.01)


@pytest.mark.parametrize(
    ("box", "is_kept", "is_ignored"),
    [
        ((10, 10, 30, 30), True, False),  # inside
        ((-10, 10, 10, 30), True, False),  # half of it
        ((-14, 10, 6, 30), False, True),  # 30 %
        ((-30, 10, -5, 30), False, False),  # outside
        ((20, 20, 22, 40), False, True),  # too narrow
        ((-2, 98, 2, 102), False, True),  # a quarter at the corner
    ],
)
def test_objects_are_kept_by_their_visible_part(box: tuple[float, ...], is_kept: bool, is_ignored: bool) -> None:
    truth = ImageLabels(
        np.array([box], np.float32), np.array([3]), np.zeros((0, 4), np.float32), np.ones(10, dtype=bool)
    )
    moved = transform_truth(truth, np.eye(2, 3), 100, 100, RULE)
    assert (len(moved.boxes), len(moved.labels), len(moved.ignored)) == (is_kept, is_kept, is_ignored)
    for rows in (moved.boxes, moved.ignored):
        assert np.array_equal(rows, rows.clip(0, 100))


def test_ignored_regions_are_mapped_too() -> None:
    truth = ImageLabels(
        np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.array([[10, 10, 20, 20]], np.float32), np.ones(1, bool)
    )
    moved = transform_truth(truth, np.array([[2.0, 0, -30], [0, 2.0, 0]]), 100, 100, RULE)
    assert moved.ignored.tolist() == [[0, 20, 10, 40]]
