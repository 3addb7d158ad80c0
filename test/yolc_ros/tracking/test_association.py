"""The assignment beside SciPy's, and the costs beside a plain computation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from yolc_ros.tracking.association import Pairs, Shapes, assign, cost_alone, possible_pairs

ALONE = 19.0


@settings(deadline=None, max_examples=100)
@given(tracks=st.integers(0, 9), detections=st.integers(0, 9), share=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
def test_the_sum_of_the_costs_is_that_of_scipy(tracks, detections, share, seed):
    rng = np.random.default_rng(seed)
    costs = rng.uniform(-5.0, 25.0, (tracks, detections))
    costs[rng.random(costs.shape) < share] = np.inf
    tracks_of, detections_of = np.nonzero(np.isfinite(costs))
    rows, columns = assign(Pairs(tracks_of, detections_of, costs[tracks_of, detections_of]), ALONE)
    assert len(set(rows.tolist())) == len(rows)
    assert len(set(columns.tolist())) == len(columns)
    assert np.isfinite(costs[rows, columns]).all()
    capped = np.concatenate([np.minimum(costs, ALONE), np.full((tracks, tracks), ALONE)], axis=1)
    expected = capped[linear_sum_assignment(capped)].sum()
    np.testing.assert_allclose(costs[rows, columns].sum() + ALONE * (tracks - len(rows)), expected, atol=1e-9)


S = np.array([[[4.0, 1.0], [1.0, 9.0]]])
TRACK = Shapes(np.array([[100.0, 50.0]]), np.array([[20.0, 10.0]]), np.array([1]))


def cost(centre=(102.0, 47.0), side=(20.0, 10.0), label=1, is_new=False):
    """Cost of one detection for TRACK; infinite where they are no pair."""
    found = Shapes(np.array([centre]), np.array([side]), np.array([label]))
    pairs = possible_pairs(TRACK, S, S / 4, np.array([is_new]), found)
    return float(pairs.costs[0]) if len(pairs.costs) else np.inf


def test_costs_are_those_of_the_likelihood():
    away = np.array([2.0, -3.0])

    def expected(S):
        return away @ np.linalg.solve(S, away) + np.log(np.linalg.det(S) / (20.0 * 10.0) ** 2)

    assert cost() == pytest.approx(expected(S[0]))
    assert cost(centre=(140.0, 50.0)) == np.inf
    assert cost(side=(80.0, 40.0)) == np.inf
    assert cost(side=(24.0, 10.0)) == pytest.approx(expected(S[0]) + (math.log(1.2) / 0.3) ** 2)
    assert cost(label=0) > expected(S[0])
    both = expected(S[0]) - 2 * math.log(0.2), expected(S[0] / 4) - 2 * math.log(0.8)
    assert cost(is_new=True) == pytest.approx(min(both))


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_pair_within_the_gate_is_overlooked(seed):
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(12, 2, 2)) * 5
    S = half @ half.transpose(0, 2, 1) + np.eye(2)
    one, other = (Shapes(rng.uniform(0, 60, (n, 2)), np.full((n, 2), 9.0), np.zeros(n, int)) for n in (12, 15))
    pairs = possible_pairs(one, S, S, np.zeros(12, bool), other)
    away = other.centres[None] - one.centres[:, None]
    expected = np.einsum("tdi,tij,tdj->td", away, np.linalg.inv(S), away) <= 13.8
    assert set(zip(pairs.tracks.tolist(), pairs.detections.tolist(), strict=True)) == set(
        zip(*(index.tolist() for index in np.nonzero(expected)), strict=True)
    )


def test_the_cost_alone_is_that_of_the_density():
    boxes = np.full((10, 2), 30.0)
    assert cost_alone(boxes, (300, 300)) == pytest.approx(-2 * math.log(2 * math.pi * 0.25 * 0.1))
    assert cost_alone(boxes[:0], (300, 300)) == pytest.approx(-2 * math.log(2 * math.pi * 0.25 * 0.002))
