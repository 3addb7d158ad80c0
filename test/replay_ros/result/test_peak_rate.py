"""The search for the peak rate on systems whose peak is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay_ros.result.peak_rate import PeakSearch, Trial, find_peak

PATIENT = PeakSearch(budget_s=1e9)


def system(capacity_hz, sent=1000, noise=0.0, seed=0, seconds=1.0):
    """A system that answers `capacity_hz` images per second and loses what is more, and now and then one by chance."""
    rng = np.random.default_rng(seed)

    def measure(rate):
        share = max(0.0, 1 - capacity_hz / rate) + abs(rng.normal(0, noise))
        return Trial(rate, sent, min(sent, round(sent * share)), seconds)

    return measure


@given(st.floats(0.1, 100), st.floats(0.02, 240))
def test_a_known_peak_is_found_from_anywhere(capacity, first):
    found = find_peak(system(capacity, sent=100_000), first, PATIENT)
    true = capacity / (1 - PATIENT.max_loss)  # so much faster, 5 % are lost
    assert found.is_bounded
    assert found.rate_hz <= true * 1.001
    assert found.rate_hz >= true / 1.051
    assert len(found.trials) < 30


@pytest.mark.parametrize("seed", range(10))
def test_noise_moves_the_peak_little_and_the_answer_agrees_with_the_trials(seed):
    found = find_peak(system(12.0, sent=200, noise=0.01, seed=seed), 3.0, PATIENT)
    assert 11.0 < found.rate_hz < 13.3
    assert all((trial.loss <= 0.05) == (trial.rate_hz <= found.rate_hz) for trial in found.trials)


def test_no_trial_begins_that_would_end_after_the_budget():
    search = PeakSearch(budget_s=10.0)
    found = find_peak(system(100.0, seconds=4.0), 1.0, search, lambda rate: 4.0)
    assert [trial.rate_hz for trial in found.trials] == [1.0, 2.0]
    assert not found.is_bounded
    assert found.rate_hz == 2.0


def test_a_system_that_never_answers_has_no_peak():
    found = find_peak(lambda rate: Trial(rate, 40, 40, 0.1), 8.0, PATIENT)
    assert found.rate_hz is None
    assert found.trials[-1].rate_hz == PATIENT.min_rate_hz


def test_a_system_that_never_loses_is_tried_up_to_the_limit():
    found = find_peak(lambda rate: Trial(rate, 40, 0, 0.1), 8.0, PATIENT)
    assert found.rate_hz == PATIENT.max_rate_hz
    assert not found.is_bounded
