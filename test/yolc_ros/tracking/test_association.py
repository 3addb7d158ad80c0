"""The assignment beside SciPy's, and the costs beside a plain computation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from yolc_ros.tracking.association import assign, association_costs, cost_alone

ALONE = 19.0


@settings(deadline=None, max_examples=100)
@given(tracks=st.integers(0, 9), detections=st.integers(0, 9), share=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
def test_the_sum_of_the_costs_is_that_of_scipy(tracks, detections, share, seed):
    rng = np.random.default_rng(seed)
    costs = rng.uniform(-5.0, 25.0, (tracks, detections))
    costs[rng.random(costs.shape) < share] = np.inf
    rows, columns = assign(costs, ALONE)
    assert len(set(rows.tolist())) == len(rows)
    assert len(set(columns.tolist())) == len(columns)
    assert np.isfinite(costs[rows, columns]).all()
    capped = np.concatenate([np.minimum(costs, ALONE), np.full((tracks, tracks), ALONE)], axis=1)
    expected = capped[linear_sum_assignment(capped)].sum()
    np.testing.assert_allclose(costs[rows, columns].sum() + ALONE * (tracks - len(rows)), expected, atol=1e-9)


def test_costs_are_those_of_the_likelihood():
    S = np.array([[[4.0, 1.0], [1.0, 9.0]]])
    arguments = (np.array([[100.0, 50.0]]), S, np.array([[20.0, 10.0]]), np.array([1]))
    near, far = np.array([[102.0, 47.0]]), np.array([[140.0, 50.0]])
    same = {"found_sides": np.array([[20.0, 10.0]]), "found_labels": np.array([1])}
    away = near[0] - 100.0 * np.array([1.0, 0.5])
    expected = away @ np.linalg.solve(S[0], away) + np.log(np.linalg.det(S[0]) / (20.0 * 10.0) ** 2)
    np.testing.assert_allclose(association_costs(*arguments, centres=near, **same), expected)
    assert np.isinf(association_costs(*arguments, centres=far, **same)).all()
    larger = {"found_sides": np.array([[80.0, 40.0]]), "found_labels": np.array([1])}
    assert np.isinf(association_costs(*arguments, centres=near, **larger)).all()
    other = {"found_sides": np.array([[20.0, 10.0]]), "found_labels": np.array([0])}
    assert association_costs(*arguments, centres=near, **other) > expected


def test_the_cost_alone_is_that_of_the_density():
    boxes = np.full((10, 2), 30.0)
    assert cost_alone(boxes, (300, 300)) == pytest.approx(-2 * math.log(2 * math.pi * 0.25 * 0.1))
    assert cost_alone(boxes[:0], (300, 300)) == pytest.approx(-2 * math.log(2 * math.pi * 0.25 * 0.002))
