"""Calibration of scores: its formula, its inverse, and its fit against known probabilities and scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit

from yolc_ros.calibration import calibrate, fit_calibration, raw_threshold
from yolc_ros.network.config import ScoreCalibration

slopes, offsets, shares = st.floats(0.5, 3.0), st.floats(-2.0, 2.0), st.floats(0.02, 0.98)


@settings(deadline=None)
@given(slopes, offsets, shares)
def test_a_score_becomes_the_sigmoid_of_its_shifted_logit_and_back(slope, offset, share):
    calibration = ScoreCalibration(slope, offset)
    raw = raw_threshold(share, calibration)
    assert calibrate(np.array([raw]), calibration)[0] == pytest.approx(share, abs=1e-4)
    assert calibrate(np.array([share]), calibration)[0] == pytest.approx(expit(slope * logit(share) + offset), abs=1e-6)


def test_the_order_and_the_range_are_kept():
    scores = np.array([0.0, 1e-3, 0.2, 0.5, 0.97, 1.0])
    found = calibrate(scores, ScoreCalibration(1.7, -0.4))
    assert found.dtype == np.float32
    assert (np.diff(found) > 0).all()
    assert 0 <= found[0] < found[-1] <= 1


def drawn(count=20_000, slope=1.6, offset=-0.7, seed=5):
    """Scores, and hits that are drawn with the probability of slope and offset."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(1.0, 2.0, count).clip(1e-3, 1 - 1e-3)
    return scores, rng.random(count) < expit(slope * logit(scores) + offset)


def test_the_fit_finds_the_probabilities_that_the_hits_were_drawn_with():
    found = fit_calibration(*drawn())
    assert (found.slope, found.offset) == (pytest.approx(1.6, abs=0.06), pytest.approx(-0.7, abs=0.06))


def test_the_fit_has_the_largest_likelihood_by_scipy():
    scores, is_hit = drawn(800)
    weights = np.random.default_rng(2).uniform(0.2, 3.0, len(scores))

    def loss(values):
        z = values[0] * logit(scores) + values[1]
        return float((weights * (np.logaddexp(0, z) - is_hit * z)).sum())

    expected = minimize(loss, (1.0, 0.0), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9}).x
    found = fit_calibration(scores, is_hit, weights)
    np.testing.assert_allclose((found.slope, found.offset), expected, atol=1e-4)


def test_what_cannot_be_calibrated_is_refused():
    with pytest.raises(ValueError, match="hits and misses"):
        fit_calibration(np.array([0.2, 0.8]), np.array([True, True]))
    scores, is_hit = drawn(500)
    with pytest.raises(ValueError, match="rank"):
        fit_calibration(scores, ~is_hit)
    with pytest.raises(ValueError, match="slope"):
        ScoreCalibration(0.0, 1.0)
