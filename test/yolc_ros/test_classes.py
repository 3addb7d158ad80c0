"""Classes and their colours."""

import cv2
import numpy as np

from yolc_ros.classes import VISDRONE_CLASSES, class_color


def test_the_ten_classes_of_visdrone_in_their_order():
    assert len(set(VISDRONE_CLASSES)) == 10
    assert VISDRONE_CLASSES[0] == "pedestrian"
    assert VISDRONE_CLASSES[3] == "car"
    assert VISDRONE_CLASSES[9] == "motor"


def test_colours_are_bright_and_differ():
    colours = [class_color(index) for index in range(10)]
    assert colours == [class_color(index) for index in range(10)]
    assert all(max(colour) == 255 for colour in colours)
    lab = cv2.cvtColor(np.array([colours], np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    apart = np.linalg.norm(lab[:, None] - lab, axis=-1)[~np.eye(10, dtype=bool)]
    assert apart.min() > 50  # 2.3 is just noticeable side by side
