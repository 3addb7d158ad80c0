"""Which detections lie on objects, against the judging that AP is computed with."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay_ros.report.content import Boxes
from replay_ros.report.reading.agreement import agree
from yolc_ros.training.average_precision import HIT, ClassResult, assign_hits


def boxes(corners, scores=None, labels=None):
    xyxy = np.array(corners, np.float64).reshape(-1, 4)
    return Boxes(xyxy, np.zeros(len(xyxy), int) if labels is None else np.array(labels), scores)


def test_each_object_is_found_once_by_the_best_detection():
    truth = boxes([[0, 0, 10, 10], [50, 50, 60, 60]])
    found = boxes([[1, 0, 11, 10], [0, 0, 10, 10], [30, 30, 40, 40]], np.array([0.9, 0.8, 0.7]))
    found, truth = agree(found, truth)
    assert found.agrees.tolist() == [True, False, False]
    assert truth.agrees.tolist() == [True, False]


def test_another_class_is_no_agreement():
    found, truth = agree(boxes([[0, 0, 10, 10]], np.ones(1), [1]), boxes([[0, 0, 10, 10]], None, [0]))
    assert not found.agrees.any()
    assert not truth.agrees.any()


@pytest.mark.parametrize(("found", "true"), [(0, 0), (0, 2), (3, 0)])
def test_nothing_agrees_with_nothing(found, true):
    corners = [[0, 0, 10, 10]]
    a, b = agree(boxes(corners * found, np.ones(found)), boxes(corners * true))
    assert a.agrees.shape == (found,)
    assert b.agrees.shape == (true,)
    assert not a.agrees.any()
    assert not b.agrees.any()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_hits_are_those_of_average_precision(seed):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 60, (8, 2))
    true = np.hstack([corner, corner + rng.uniform(8, 20, (8, 2))])
    near = np.vstack([true, true]) + rng.normal(0, 2, (16, 4))
    scores = rng.permutation(np.linspace(0.1, 0.9, 16))
    found, _ = agree(boxes(near, scores), boxes(true))
    judged = assign_hits(ClassResult(near, scores, true, np.zeros((0, 4))), np.array([0.5]))
    assert found.agrees[np.argsort(-scores)].tolist() == (judged.outcomes[0] == HIT).tolist()
