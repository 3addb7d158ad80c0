"""Consistency of covariances on simulated flights: a small part of `benchmark --only consistency`."""

import numpy as np
import pytest

from replay_ros.benchmarks.accuracy.consistency import ALLOWED, KINDS, simulated_pairs, squared_error

PAIRS = 75  # of each geometry; the mean of at least 225 squares has a standard deviation of 9 %, without heavy tails


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [0.0, 0.2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_covariance_is_consistent_on_flights(kind, wrong):
    """The mean normalised squared error is 1 within a third; 1 pair in 30 may be classified wrongly."""
    estimated = [(pair.estimate(), pair.T) for pair in simulated_pairs(kind, PAIRS, wrong)]
    errors = [squared_error(pose, T) for pose, T in estimated if pose.geometry in ALLOWED[kind]]
    assert len(errors) >= PAIRS * 29 / 30
    assert 0.65 < np.mean(errors) < 1.35
