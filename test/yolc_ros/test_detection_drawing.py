"""Drawn detections."""

import numpy as np
import pytest

from yolc_ros.classes import VISDRONE_CLASSES, class_color
from yolc_ros.drawing import draw_detections

NO_BOXES = (np.empty((0, 4)), np.empty(0, np.int64), np.empty(0))


def gray(height=480, width=640):
    return np.full((height, width, 3), 90, np.uint8)


def test_a_box_has_the_colour_of_its_class_and_does_not_cover_its_object():
    picture = draw_detections(
        gray(), np.array([[300.0, 200.0, 380.0, 260.0]]), np.array([3]), np.array([0.9]), VISDRONE_CLASSES
    )
    for y, x in ((230, 300), (260, 340)):
        np.testing.assert_allclose(picture[y, x].astype(float), class_color(3), atol=20)  # lines are anti-aliased
    assert (picture[210:250, 310:370] == 90).all()
    assert (picture[180:198, 301:340] != 90).any()  # its name above it


def test_the_input_image_is_not_changed():
    image = gray()
    draw_detections(image, np.array([[1.0, 1, 50, 50]]), np.array([0]), np.array([0.5]), VISDRONE_CLASSES, title="t")
    assert (image == 90).all()


def test_without_detections_only_the_title_is_drawn():
    assert (draw_detections(gray(), *NO_BOXES, VISDRONE_CLASSES) == 90).all()
    titled = draw_detections(gray(), *NO_BOXES, VISDRONE_CLASSES, title="nothing here")
    assert (titled[:40, :200] != 90).any()
    assert (titled[60:] == 90).all()


def test_names_never_cover_objects():
    x, y = np.meshgrid(np.arange(30, 600, 24), np.arange(120, 440, 20))
    boxes = np.stack([x, y, x + 16, y + 12], axis=-1).reshape(-1, 4).astype(float)
    labels = np.arange(len(boxes)) % 10
    picture = draw_detections(gray(), boxes, labels, np.linspace(0.1, 1, len(boxes)), VISDRONE_CLASSES)
    for x0, y0, x1, y1 in boxes.astype(int):
        assert (picture[y0 + 3 : y1 - 2, x0 + 3 : x1 - 2] == 90).all()


def test_boxes_beyond_the_border_can_be_drawn():
    boxes = np.array([[-20.0, -20, 30, 30], [620, 460, 700, 500], [0, 0, 640, 480], [100, 100, 100, 100]])
    picture = draw_detections(gray(), boxes, np.array([0, 1, 2, 3]), np.ones(4), VISDRONE_CLASSES, trained=False)
    assert picture.shape == (480, 640, 3)


def test_regions_are_dashed_and_counted():
    plain = draw_detections(gray(), *NO_BOXES, VISDRONE_CLASSES)
    picture = draw_detections(gray(), *NO_BOXES, VISDRONE_CLASSES, np.array([[100.0, 150, 300, 350]]))
    edge = (picture[150, 100:300] != plain[150, 100:300]).any(axis=1)
    assert 0.3 < edge.mean() < 0.95
    assert (picture[:40, :150] != 90).any()


def test_a_banner_marks_untrained_weights():
    picture = draw_detections(gray(), *NO_BOXES, VISDRONE_CLASSES, trained=False)
    assert (picture[-10:].mean(axis=(0, 1)) @ [1, -0.5, -0.5]) > 80  # red
    assert (picture[-10:] != 90).any(axis=2).all()


@pytest.mark.parametrize("shape", [(60, 80), (480, 640), (1080, 1920)])
def test_gray_images_of_any_size_become_colour_pictures(shape):
    image = np.zeros(shape, np.uint8)
    picture = draw_detections(image, np.array([[2.0, 2, 30, 30]]), np.array([9]), np.array([0.3]), VISDRONE_CLASSES)
    assert picture.shape == (*shape, 3)


def test_the_same_input_gives_the_same_picture():
    boxes = np.random.default_rng(0).uniform(0, 400, (50, 2))
    arguments = (np.hstack([boxes, boxes + 20]), np.arange(50) % 10, np.full(50, 0.5), VISDRONE_CLASSES)
    np.testing.assert_array_equal(draw_detections(gray(), *arguments), draw_detections(gray(), *arguments))
