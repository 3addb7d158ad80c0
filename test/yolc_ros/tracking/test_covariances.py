"""Closed forms against numpy.linalg."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from yolc_ros.tracking.covariances import determinants, inverses


@given(st.integers(0, 20), st.integers(0, 10_000))
def test_determinants_and_inverses_are_those_of_linalg(count, seed):
    roots = np.random.default_rng(seed).normal(size=(count, 2, 2))
    S = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(2)
    np.testing.assert_allclose(determinants(S), np.linalg.det(S), rtol=1e-9)
    np.testing.assert_allclose(inverses(S), np.linalg.inv(S), rtol=1e-9)
