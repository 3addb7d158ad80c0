"""The paired bootstrap against `score_detections` on the drawn images."""

import numpy as np
import pytest

from replay_ros.evaluation.detection.comparison.paired_bootstrap import paired_difference
from replay_ros.evaluation.detection.metrics import score_detections
from replay_ros.evaluation.detection.protocols import PROTOCOLS, ImageDetections, ImageTruth

CLASSES = ("a", "b")
PROTOCOL = PROTOCOLS["coco-500"]


def image(rng: np.random.Generator, skill: float, boxes: np.ndarray, labels: np.ndarray) -> ImageDetections:
    """Detections that hit a share `skill` of the boxes, and as many false ones."""
    hit = rng.random(len(boxes)) < skill
    false = boxes[~hit] + 500.0
    scores = rng.random(len(boxes)) * 0.9 + 0.05
    return ImageDetections(np.concatenate([boxes[hit], false]), scores, np.concatenate([labels[hit], labels[~hit]]))


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(5)
    truths, good, poor = [], [], []
    for _ in range(12):
        count = int(rng.integers(1, 9))
        corner = np.arange(count)[:, None] * 40.0
        boxes = np.hstack([corner, corner, corner + 20, corner + 20])
        labels = rng.integers(0, 2, count)
        none = np.zeros(count, bool)
        truths.append(ImageTruth(boxes, labels, none, none, np.zeros((0, 4))))
        good.append(image(rng, 0.9, boxes, labels))
        poor.append(image(rng, 0.5, boxes, labels))
    return truths, good, poor


def test_the_difference_and_its_interval_are_those_of_the_drawn_images(sample):
    truths, good, poor = sample
    found = paired_difference(truths, good, poor, CLASSES, PROTOCOL, name="poor", repeats=40, seed=7)
    draws = np.random.default_rng(7).multinomial(12, np.full(12, 1 / 12), 40)

    def ap50(detections, times):
        index = np.repeat(np.arange(12), times)
        return score_detections([truths[i] for i in index], [detections[i] for i in index], CLASSES, PROTOCOL).ap50

    every = np.ones(12, int)
    assert found is not None
    assert found.ap50 == pytest.approx(ap50(good, every) - ap50(poor, every), abs=1e-9)
    differences = [ap50(good, draw) - ap50(poor, draw) for draw in draws]
    assert found.low == pytest.approx(np.quantile(differences, 0.025), abs=1e-9)
    assert found.high == pytest.approx(np.quantile(differences, 0.975), abs=1e-9)
    assert found.not_worse == pytest.approx(np.mean(np.array(differences) >= 0))
    assert found.low > 0


def test_equal_detectors_do_not_differ(sample):
    truths, good, _ = sample
    found = paired_difference(truths, good, good, CLASSES, PROTOCOL, name="itself", repeats=30)
    assert found is not None
    assert (found.reference, found.ap50, found.low, found.high, found.not_worse) == ("itself", 0, 0, 0, 1)


def test_without_objects_there_is_no_difference(sample):
    _, good, poor = sample
    empty = np.zeros(0, bool)
    truths = [ImageTruth(np.zeros((0, 4)), np.zeros(0, int), empty, empty, np.zeros((0, 4)))] * 12
    assert paired_difference(truths, good, poor, CLASSES, PROTOCOL, name="poor", repeats=5) is None
