"""The alignment of the trajectory with the ground truth."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from perception_common.geometry import so3_exp
from replay_ros.report.figures.trajectory import mean_rotation


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_the_mean_rotation_agrees_with_scipy(seed, count):
    rng = np.random.default_rng(seed)
    center = so3_exp(rng.normal(0, 1, 3))
    near = np.array([center @ so3_exp(rng.normal(0, 0.02, 3)) for _ in range(count)])
    np.testing.assert_allclose(mean_rotation(near), Rotation.from_matrix(near).mean().as_matrix(), atol=1e-4)
