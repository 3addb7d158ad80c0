"""The pose error of the papers, which ignores the sign of the translation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from perception_common.geometry import so3_exp, transform
from replay_ros.protocols.posed_pairs import paper_error

vectors = st.lists(st.floats(-1, 1), min_size=3, max_size=3).map(np.array).filter(lambda v: np.linalg.norm(v) > 0.1)


@settings(deadline=None, max_examples=50)
@given(vectors, vectors, vectors)
def test_opposite_translations_count_as_equal(turn, t, true_t):
    true = transform(np.eye(3), true_t)
    cosine = t @ true_t / np.linalg.norm(t) / np.linalg.norm(true_t)
    direction = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    expected = max(np.degrees(Rotation.from_rotvec(turn).magnitude()), min(direction, 180 - direction))
    for sign in (1, -1):
        assert paper_error(transform(so3_exp(turn), sign * t), true) == pytest.approx(expected, abs=1e-4)


def test_no_translation():
    true, still = transform(np.eye(3), np.array([1.0, 0, 0])), np.eye(4)
    assert paper_error(still, true) == 90
    assert paper_error(still, still) == 0
