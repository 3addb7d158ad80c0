"""Swarm-SLAM gets the pose of keyframe 1 in keyframe 0, regardless of their order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from loftr_ros.bridges.edges import GraphEdge
from loftr_ros.bridges.swarm_slam import fill_closure
from perception_common.geometry import so3_exp, transform

CLOSURE = "cslam_common_interfaces/msg/IntraRobotLoopClosure"
poses = st.tuples(*[st.floats(-2, 2)] * 6).map(lambda v: transform(so3_exp(np.array(v[:3])), np.array(v[3:])))


@pytest.fixture(scope="module")
def closure(stand_in):
    return lambda *given: stand_in.roundtrip(fill_closure(stand_in.message(CLOSURE), *given))


@given(poses, st.booleans())
@settings(deadline=None, max_examples=20)
def test_the_transform_is_that_of_keyframe_1_in_keyframe_0(closure, T_older_newer, newer_first):
    older, newer = 40, 90
    edge = GraphEdge(older, newer, T_older_newer, np.eye(6))
    message = closure(newer, older, edge) if newer_first else closure(older, newer, edge)
    t, q = message.transform.translation, message.transform.rotation
    point = np.array([0.3, -0.2, 5.0])  # in the frame of keyframe 1
    expected = (np.linalg.inv(T_older_newer) if newer_first else T_older_newer) @ np.append(point, 1.0)
    found = Rotation.from_quat([q.x, q.y, q.z, q.w]).apply(point) + np.array([t.x, t.y, t.z])
    np.testing.assert_allclose(found, expected[:3], atol=1e-9)
    assert message.success


def test_a_pair_without_an_edge_is_reported_as_a_failure(closure):
    message = closure(7, 3, None)
    assert (message.keyframe0_id, message.keyframe1_id, message.success) == (7, 3, False)
