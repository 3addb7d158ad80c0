"""The accuracy of looks on known boxes, and what is said of a run within a budget."""

import numpy as np
import pytest

from flight_sim.classes import CLASS_NAMES
from replay_ros.benchmarks.accuracy import looks
from replay_ros.benchmarks.accuracy.budget import Run
from replay_ros.evaluation.detection.protocols import ImageTruth
from yolc_ros.detector import Detections
from yolc_ros.looks.budget import LeftOut

BOXES = np.array([[10, 10, 40, 40], [60, 10, 90, 30], [10, 70, 50, 90]], float)
CAR, BUS = CLASS_NAMES.index("car"), CLASS_NAMES.index("bus")
TRUTH = ImageTruth(BOXES, np.array([CAR, CAR, BUS]), np.zeros(3, bool), np.zeros(3, bool), np.zeros((0, 4)))


def found(indices, names=CLASS_NAMES):
    """Detections of some of the boxes by a network whose classes are in another order."""
    labels = np.array([names.index(CLASS_NAMES[TRUTH.labels[index]]) for index in indices], np.int64)
    scores = np.linspace(0.9, 0.5, len(indices)).astype(np.float32)
    return Detections(BOXES[indices].astype(np.float32), scores, labels, np.full(len(indices), -1), (), names)


@pytest.mark.parametrize("names", [CLASS_NAMES, CLASS_NAMES[::-1]])
def test_the_accuracy_is_the_mean_of_the_classes_that_are_there(names):
    assert looks.average_precision([TRUTH], [found([0, 1, 2], names)]) == pytest.approx(1.0)
    assert looks.average_precision([TRUTH], [found([0, 1], names)]) == pytest.approx(0.5)
    assert looks.average_precision([TRUTH], [found([], names)]) == 0.0


def test_the_looks_are_the_whole_image_the_lsm_and_slices_at_the_size_of_the_image():
    compared = looks.looks()
    assert looks.REFERENCE in compared
    assert {series for series, _ in compared} == {"whole image", "LSM", "slicing"}
    assert [mode.regions for (series, _), mode in compared.items() if series == "LSM"] == [1, 2, 3, 4]
    assert all(mode.slicing.zoom == 1 for mode in compared.values() if mode.slicing is not None)


def test_what_a_budget_left_out_is_summed_over_the_images():
    run = Run((0.1, 0.2), (LeftOut(2, 1, 0.5), LeftOut(1, 0, 1.0)))
    assert run.describe() == (
        "first look reduced in 1 of 2 images (mean share of its scale 0.75), 3 regions left out, 1 with less zoom"
    )
