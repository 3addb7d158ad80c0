"""The information matrix of links has the convention of RTAB-Map's optimizers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from loftr_ros.bridges.edges import GraphEdge
from loftr_ros.bridges.rtabmap import USER_CLOSURE, fill_link, information_of
from perception_common.geometry import inverse, so3_exp, so3_log, transform

poses = st.tuples(*[st.floats(-2, 2)] * 6).map(lambda v: transform(so3_exp(np.array(v[:3])), np.array(v[3:])))
seeds = st.integers(0, 10_000)


def edge_with(T, seed):
    root = np.random.default_rng(seed).normal(size=(6, 6)) + 3 * np.eye(6)
    return GraphEdge(2, 9, T, root @ root.T)


@given(poses, seeds)
@settings(deadline=None, max_examples=20)
def test_the_information_matrix_is_of_errors_in_the_axes_of_the_newer_node(T, seed):
    """true T = T exp(x), translation first: OptimizerGTSAM swaps the blocks and passes it to BetweenFactor<Pose3>."""
    edge = edge_with(T, seed)

    def right(error):
        off = inverse(T) @ transform(so3_exp(error[3:]) @ T[:3, :3], T[:3, 3] + error[:3])
        return np.r_[off[:3, 3], so3_log(off[:3, :3])]

    jacobian = np.stack([(right(s) - right(-s)) / 2e-6 for s in 1e-6 * np.eye(6)], axis=1)
    expected = np.linalg.inv(jacobian @ edge.covariance @ jacobian.T)
    np.testing.assert_allclose(information_of(edge), expected, rtol=1e-4, atol=1e-4)


def test_gtsam_computes_the_same_error_after_the_block_swap_of_rtabmap():
    """An error of one standard deviation along any principal axis of the covariance has length 1 in gtsam."""
    gtsam = pytest.importorskip("gtsam")
    T = transform(so3_exp(np.array([0.4, -1.0, 0.3])), np.array([1.0, 2.0, -0.5]))
    edge = edge_with(T, 4)
    swap = [3, 4, 5, 0, 1, 2]
    model = gtsam.noiseModel.Gaussian.Information(information_of(edge)[np.ix_(swap, swap)])
    factor = gtsam.BetweenFactorPose3(0, 1, gtsam.Pose3(T), model)
    values, vectors = np.linalg.eigh(edge.covariance)
    for deviation, axis in zip(1e-4 * np.sqrt(values), vectors.T, strict=True):
        step = deviation * axis
        disturbed = transform(so3_exp(step[3:]) @ T[:3, :3], T[:3, 3] + step[:3])
        poses = gtsam.Values()
        poses.insert(0, gtsam.Pose3())
        poses.insert(1, gtsam.Pose3(disturbed))
        assert np.sqrt(2 * factor.error(poses)) == pytest.approx(1e-4, rel=1e-2)


def test_a_link_carries_the_edge(stand_in):
    T = transform(so3_exp(np.array([0.2, 0.1, -0.4])), np.array([3.0, 4.0, 5.0]))
    edge = edge_with(T, 1)
    link = stand_in.roundtrip(fill_link(stand_in.message("rtabmap_msgs/msg/Link"), edge))
    assert (link.from_id, link.to_id, link.type) == (2, 9, USER_CLOSURE)
    assert USER_CLOSURE > 0  # kNeighbor fails an assertion in RTAB-Map
    t, q = link.transform.translation, link.transform.rotation
    np.testing.assert_allclose([t.x, t.y, t.z], [3, 4, 5])
    np.testing.assert_allclose(Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix(), T[:3, :3], atol=1e-12)
    np.testing.assert_allclose(np.reshape(link.information, (6, 6)), information_of(edge))
