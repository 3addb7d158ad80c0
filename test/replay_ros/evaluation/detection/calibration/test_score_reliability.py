"""The expected calibration error against a closed form and against a loop over bins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from replay_ros.evaluation.detection.calibration.reliability import measure_reliability


def slow_error(scores, is_hit, bins=10):
    """The error by its definition, bin by bin; the last bin holds 1."""
    total = 0.0
    for index in range(bins):
        inside = [
            (score, hit)
            for score, hit in zip(scores, is_hit, strict=True)
            if index <= score * bins < index + 1 or (index == bins - 1 and score == 1)
        ]
        if inside:
            total += abs(sum(score for score, _ in inside) - sum(hit for _, hit in inside))
    return total / len(scores)


@settings(deadline=None)
@given(npst.arrays(float, st.integers(1, 40), elements=st.floats(0, 1)), st.integers(0, 2**32 - 1))
def test_the_error_is_that_of_its_definition(scores, seed):
    is_hit = np.random.default_rng(seed).random(len(scores)) < 0.6
    assert measure_reliability(scores, is_hit, 0.0).error == pytest.approx(slow_error(scores, is_hit), abs=1e-9)


def test_scores_that_are_probabilities_have_a_small_error_and_doubled_logits_that_of_the_integral():
    rng = np.random.default_rng(1)
    truth = rng.uniform(0.001, 0.999, 200_000)
    is_hit = rng.random(len(truth)) < truth
    assert measure_reliability(truth, is_hit, 0.0).error < 0.005
    odds = truth / (1 - truth)
    sharpened = odds**2 / (1 + odds**2)  # a logit that is twice as large: overconfident
    exact = np.abs(sharpened - truth).mean()  # the sign is the same within a bin, apart from the two in the middle
    assert measure_reliability(sharpened, is_hit, 0.0).error == pytest.approx(exact, abs=0.01)


def test_only_boxes_from_the_threshold_on_count():
    scores, is_hit = np.array([0.05, 0.05, 0.45, 0.45, 0.85]), np.array([True, True, True, False, True])
    found = measure_reliability(scores, is_hit, 0.3)
    assert [(each.low, each.high, each.count, each.precision) for each in found.bins] == [
        (0.4, 0.5, 2, 0.5),
        (0.8, 0.9, 1, 1.0),
    ]
    assert found.error == pytest.approx((2 * 0.05 + 0.15) / 3)
    assert measure_reliability(scores, is_hit, 0.9).error is None
