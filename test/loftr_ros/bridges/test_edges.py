"""Edges of an external pose graph, compared with chained poses and numerical derivatives of their errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.bridges.edges import GraphEdge, GraphNode, GraphNodes, edge_of_pose, metric_pose
from loftr_ros.sensors.readings import OdometryPose
from perception_common.errors import InputError
from perception_common.geometry import inverse, so3_exp, so3_log, transform
from yolc_ros.msg import RelativePose

SECOND = 10**9
poses = st.tuples(*[st.floats(-2, 2)] * 6).map(lambda v: transform(so3_exp(np.array(v[:3])), np.array(v[3:])))
seeds = st.integers(0, 10_000)


@given(poses, seeds)
@settings(deadline=None, max_examples=10)
def test_the_inverse_of_an_edge_has_the_covariance_of_the_inverse_pose(T, seed):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(6, 6))
    back = GraphEdge(3, 7, T, root @ root.T).inverse()
    np.testing.assert_allclose(back.T, np.linalg.inv(T), atol=1e-9)
    assert (back.from_id, back.to_id) == (7, 3)

    def error(step):  # of the inverse if the edge has the error `step`
        true = inverse(transform(so3_exp(step[3:]) @ T[:3, :3], T[:3, 3] + step[:3]))
        return np.r_[true[:3, 3] - back.T[:3, 3], so3_log(true[:3, :3] @ back.T[:3, :3].T)]

    jacobian = np.stack([(error(s) - error(-s)) / 2e-6 for s in 1e-6 * np.eye(6)], axis=1)
    np.testing.assert_allclose(back.covariance, jacobian @ (root @ root.T) @ jacobian.T, atol=1e-4)


@given(poses, poses, poses, poses, poses)
@settings(deadline=None, max_examples=20)
def test_odometry_compensates_the_motion_between_nodes_and_keyframes(mount, node0, keyframe0, keyframe1, node1):
    """Four poses of a vehicle: node, keyframe, keyframe, node; odometry drifts between the two keyframes."""
    drift = transform(so3_exp(np.array([0.1, 0.2, 0.3])), np.array([5.0, -3.0, 1.0]))
    nodes = GraphNodes(tolerance=0.0)
    for stamp, T in [(1.0, node0), (1.25, keyframe0), (9.0, drift @ keyframe1), (9.125, drift @ node1)]:
        nodes.add_odometry(OdometryPose(int(stamp * SECOND), T, np.zeros((6, 6))))
    ends = [
        nodes.end(GraphNode(1 * SECOND, 11), SECOND + SECOND // 4, mount),
        nodes.end(GraphNode(9 * SECOND + SECOND // 8, 12), 9 * SECOND, mount),
    ]
    T = inverse(keyframe0 @ mount) @ keyframe1 @ mount
    edge = edge_of_pose(T, np.eye(6), *ends)
    assert (edge.from_id, edge.to_id) == (11, 12)
    np.testing.assert_allclose(edge.T, inverse(node0) @ node1, atol=1e-8)


def test_without_odometry_a_keyframe_must_be_within_the_tolerance_of_its_node():
    nodes = GraphNodes(tolerance=0.1)
    node = GraphNode(5 * SECOND, 1)
    np.testing.assert_array_equal(nodes.end(node, 5 * SECOND + SECOND // 20, None).T_node_camera, np.eye(4))
    with pytest.raises(InputError, match=r"no keyframe within 0\.1 s of a node: give odometry"):
        nodes.end(node, 5 * SECOND + SECOND // 2, None)


def test_the_node_nearest_in_time_is_found():
    nodes = GraphNodes(tolerance=0.1)
    assert nodes.nearest(0) is None
    for number, stamp in ((1, 10), (2, 20)):
        nodes.add(GraphNode(stamp, number))
    assert nodes.nearest(14).id == 1
    assert nodes.nearest(99).id == 2
    assert nodes.node(2).stamp_ns == 20
    assert nodes.node(3) is None


@pytest.mark.parametrize(
    ("geometry", "scale", "sentence"),
    [(0, 1, "two-view geometry failed"), (3, 1, "only rotated"), (1, 0, "give loftr_node altitude")],
)
def test_poses_that_are_unusable_for_a_graph_are_refused_with_the_reason(geometry, scale, sentence):
    with pytest.raises(InputError, match=sentence):
        metric_pose(RelativePose(geometry=geometry, scale_status=scale))


def test_a_metric_pose_is_read_from_its_message():
    message = RelativePose(geometry=2, scale_status=1)
    message.pose.pose.position.x = 3.0
    message.pose.pose.orientation.z = message.pose.pose.orientation.w = np.sqrt(0.5)
    message.pose.covariance = np.arange(36.0)
    T, covariance = metric_pose(message)
    np.testing.assert_allclose(T, transform(so3_exp(np.array([0, 0, np.pi / 2])), np.array([3.0, 0, 0])), atol=1e-12)
    np.testing.assert_array_equal(covariance, np.arange(36.0).reshape(6, 6))


def test_an_end_at_the_same_stamp_is_the_mount():
    mount = transform(so3_exp(np.array([1.0, 0, 0])), np.array([0, 0, 0.2]))
    end = GraphNodes(0.0).end(GraphNode(SECOND, 4), SECOND, mount)
    assert end.node.id == 4
    np.testing.assert_array_equal(end.T_node_camera, mount)
