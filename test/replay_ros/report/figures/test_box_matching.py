"""Matching of detections with objects, compared with the matching for average precision."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay_ros.report.content.images import Boxes
from replay_ros.report.figures.box_matching import match_boxes
from yolc_ros.training.average_precision import HIT, ClassResult, assign_hits


def boxes(corners, scores=None, labels=None):
    xyxy = np.array(corners, np.float64).reshape(-1, 4)
    return Boxes(xyxy, np.zeros(len(xyxy), int) if labels is None else np.array(labels), scores)


def test_each_object_is_matched_once_in_the_order_of_scores():
    truth = boxes([[0, 0, 10, 10], [50, 50, 60, 60]])
    found = boxes([[1, 0, 11, 10], [0, 0, 10, 10], [30, 30, 40, 40]], np.array([0.9, 0.8, 0.7]))
    found, truth = match_boxes(found, truth)
    assert found.matched.tolist() == [True, False, False]
    assert truth.matched.tolist() == [True, False]


def test_boxes_of_another_class_do_not_match():
    found, truth = match_boxes(boxes([[0, 0, 10, 10]], np.ones(1), [1]), boxes([[0, 0, 10, 10]], None, [0]))
    assert not found.matched.any()
    assert not truth.matched.any()


@pytest.mark.parametrize(("found", "true"), [(0, 0), (0, 2), (3, 0)])
def test_without_boxes_nothing_matches(found, true):
    corners = [[0, 0, 10, 10]]
    a, b = match_boxes(boxes(corners * found, np.ones(found)), boxes(corners * true))
    assert a.matched.shape == (found,)
    assert b.matched.shape == (true,)
    assert not a.matched.any()
    assert not b.matched.any()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_hits_are_those_of_average_precision(seed):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 60, (8, 2))
    true = np.hstack([corner, corner + rng.uniform(8, 20, (8, 2))])
    near = np.vstack([true, true]) + rng.normal(0, 2, (16, 4))
    scores = rng.permutation(np.linspace(0.1, 0.9, 16))
    found, _ = match_boxes(boxes(near, scores), boxes(true))
    expected = assign_hits(ClassResult(near, scores, true, np.zeros((0, 4))), np.array([0.5]))
    assert found.matched[np.argsort(-scores)].tolist() == (expected.outcomes[0] == HIT).tolist()
