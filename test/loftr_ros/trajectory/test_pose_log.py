"""The log of poses beside a plain dictionary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loftr_ros.trajectory.pose_log import PoseLog


@given(limit=st.integers(1, 7), gaps=st.lists(st.integers(1, 4), max_size=40))
def test_it_keeps_what_a_dictionary_of_the_newest_would_keep(limit, gaps):
    log, expected = PoseLog(limit), {}
    for key in np.cumsum(gaps).tolist():
        log.append(key, np.full((4, 4), float(key)), is_metric=key % 2 == 0)
        expected[key] = key % 2 == 0
        expected = dict(list(expected.items())[-limit:])
        assert len(log) == len(expected)
        assert log.keys.tolist() == list(expected)
        np.testing.assert_array_equal(log.matrices[:, 0, 0], list(expected))
    for key in range(sum(gaps) + 2):
        assert (key in log) == (key in expected)
        if key in expected:
            matrix, is_metric = log.get(key)
            np.testing.assert_array_equal(matrix, np.full((4, 4), float(key)))
            assert is_metric == expected[key]


def test_missing_and_falling_keys_are_refused():
    log = PoseLog(2)
    for key in (1, 2, 3):
        log.append(key, np.eye(4), is_metric=True)
    with pytest.raises(KeyError):
        log.get(1)
    with pytest.raises(ValueError, match="grow"):
        log.append(3, np.eye(4), is_metric=True)
    with pytest.raises(ValueError, match="limit"):
        PoseLog(0)
