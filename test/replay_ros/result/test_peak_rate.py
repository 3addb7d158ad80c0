"""The search for the peak rate of systems with a known peak."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay_ros.result.peak_rate import PeakSearch, Trial, find_peak

UNLIMITED = PeakSearch(budget_s=1e9)


def system(capacity_hz, sent=1000, noise=0.0, seed=0, seconds=1.0):
    """A system that processes `capacity_hz` images per second and loses the others, plus a few at random."""
    rng = np.random.default_rng(seed)

    def run_trial(rate):
        share = max(0.0, 1 - capacity_hz / rate) + abs(rng.normal(0, noise))
        return Trial(rate, sent, min(sent, round(sent * share)), seconds)

    return run_trial


@given(st.floats(0.1, 100), st.floats(0.02, 240))
def test_a_known_peak_is_found_from_any_first_rate(capacity, first):
    found = find_peak(system(capacity, sent=100_000), first, UNLIMITED)
    true = capacity / (1 - UNLIMITED.max_loss)  # at this rate, 5 % are lost
    assert found.is_bounded
    assert found.rate_hz <= true * 1.001
    assert found.rate_hz >= true / 1.051
    assert len(found.trials) < 30


@pytest.mark.parametrize("seed", range(10))
def test_with_noise_the_peak_is_close_and_agrees_with_the_trials(seed):
    found = find_peak(system(12.0, sent=200, noise=0.01, seed=seed), 3.0, UNLIMITED)
    assert 11.0 < found.rate_hz < 13.3
    assert all((trial.loss <= 0.05) == (trial.rate_hz <= found.rate_hz) for trial in found.trials)


def test_no_trial_starts_that_would_exceed_the_budget():
    search = PeakSearch(budget_s=10.0)
    found = find_peak(system(100.0, seconds=4.0), 1.0, search, lambda rate: 4.0)
    assert [trial.rate_hz for trial in found.trials] == [1.0, 2.0]
    assert not found.is_bounded
    assert found.rate_hz == 2.0


def test_a_system_that_loses_everything_has_no_peak():
    found = find_peak(lambda rate: Trial(rate, 40, 40, 0.1), 8.0, UNLIMITED)
    assert found.rate_hz is None
    assert found.trials[-1].rate_hz == UNLIMITED.min_rate_hz


def test_a_system_without_losses_is_tried_up_to_the_limit():
    found = find_peak(lambda rate: Trial(rate, 40, 0, 0.1), 8.0, UNLIMITED)
    assert found.rate_hz == UNLIMITED.max_rate_hz
    assert not found.is_bounded
