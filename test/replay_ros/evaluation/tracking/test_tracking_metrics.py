"""Scores of ids on sequences whose scores are known in closed form."""

import numpy as np
import pytest

from replay_ros.evaluation.tracking.metrics import TrackedBoxes, score_tracking

pytest.importorskip("trackeval")


def image(*objects):
    """An image of objects (x, id) with one box each, 10 pixels wide."""
    boxes = np.array([[x, 0.0, x + 10.0, 10.0] for x, _ in objects]).reshape(-1, 4)
    return TrackedBoxes(boxes, np.array([number for _, number in objects], np.int64), np.zeros(len(objects), np.int64))


def test_the_truth_itself_is_perfect_under_other_names():
    truth = [image((0, 7), (50, 9)), image((1, 7), (51, 9))]
    found = [image((50, 100), (0, 3)), image((1, 3), (51, 100))]
    scores = score_tracking(truth, found)
    assert (scores.hota, scores.idf1, scores.mota, scores.id_switches) == (1.0, 1.0, 1.0, 0)
    assert (scores.objects, scores.boxes, scores.tracks) == (2, 4, 2)


def test_a_switch_in_the_middle_halves_idf1():
    truth = [image((0, 1))] * 4
    found = [image((0, 1)), image((0, 1)), image((0, 2)), image((0, 2))]
    scores = score_tracking(truth, found)
    assert scores.id_switches == 1
    assert scores.idf1 == pytest.approx(2 * 2 / (4 + 4))  # 2 IDTP / (boxes of both sides)
    assert scores.mota == pytest.approx(1 - 1 / 4)


def test_another_class_is_no_match():
    truth = [image((0, 1))]
    wrong = [TrackedBoxes(truth[0].boxes, truth[0].ids, np.ones(1, np.int64))]
    assert score_tracking(truth, wrong).idf1 == 0.0
    assert score_tracking(truth, [image()]).mota == 0.0
