"""Relative poses wait for the nodes of their keyframes."""

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.bridges.edges import GraphNode, GraphNodes
from loftr_ros.bridges.waiting import WaitingPoses
from perception_common.geometry import so3_exp, transform
from perception_common.node.bridges.traffic import Traffic
from yolc_ros.msg import RelativePose

SECOND = 10**9


class FixedMount:
    def __init__(self, T):
        self.T = T
        self.is_asked_for = True

    def lookup(self, optical_frame, stamp_ns):
        return self.T


def relative_pose(older, newer, inliers=100, scale=1, **fields):
    """A pose of one metre along x between keyframes at two times in seconds."""
    message = RelativePose(geometry=1, scale_status=scale, inliers=inliers, **fields)
    for stamp, seconds in ((message.older_stamp, older), (message.newer_stamp, newer)):
        filled = Time(sec=int(seconds), nanosec=round(seconds % 1 * 1e9))
        stamp.sec, stamp.nanosec = filled.sec, filled.nanosec
    message.pose.pose.position.x = message.pose.pose.orientation.w = 1.0
    message.pose.covariance = np.eye(6).ravel()
    return message


@pytest.fixture
def graph():
    return GraphNodes(tolerance=0.5)


def waiting_in(graph, mount=None, **changes):
    given = {"reach": 1.0, "patience": 5.0, "min_inliers": 30, **changes}
    return WaitingPoses("SLAM", graph, mount or FixedMount(np.eye(4)), **given)


@pytest.fixture
def loops():
    return Traffic("loops", lambda _: None)


def add_node(graph, waiting, node_id, seconds):
    graph.add(GraphNode(int(seconds * SECOND), node_id))
    return [edge for edge, traffic in waiting.edges(int(seconds * SECOND)) if traffic.pass_on() is None]


def test_a_pose_becomes_an_edge_when_the_node_after_its_newer_keyframe_is_there(graph, loops):
    waiting = waiting_in(graph)
    assert add_node(graph, waiting, 1, 10.0) == []
    waiting.add(relative_pose(10.25, 20.25), loops)
    assert add_node(graph, waiting, 2, 19.875) == []  # the next one may be nearer
    (edge,) = add_node(graph, waiting, 3, 20.375)
    assert (edge.from_id, edge.to_id) == (1, 3)
    np.testing.assert_allclose(edge.T[:3, 3], [1, 0, 0])
    assert add_node(graph, waiting, 4, 30.0) == []
    assert (loops.received, loops.passed, loops.waiting) == (1, 1, 0)


def test_the_edge_is_between_the_base_frames(graph, loops):
    """The camera looks along the base's x axis turned by 90 degrees about z: its x is the base's y."""
    mount = transform(so3_exp(np.array([0, 0, np.pi / 2])), np.zeros(3))
    waiting = waiting_in(graph, FixedMount(mount))
    waiting.add(relative_pose(1.0, 9.0), loops)
    graph.add(GraphNode(1 * SECOND, 5))
    (edge,) = add_node(graph, waiting, 6, 9.0)
    np.testing.assert_allclose(edge.T[:3, 3], [0, 1, 0], atol=1e-12)


def test_a_pose_without_nodes_is_refused_after_the_patience(graph, loops):
    waiting = waiting_in(graph)
    waiting.add(relative_pose(3.0, 20.0), loops)
    assert add_node(graph, waiting, 1, 20.0) == []
    assert loops.waiting == 1  # the older node might still come
    assert add_node(graph, waiting, 2, 26.0) == []
    assert loops.refused == {"SLAM has no node within 1 s of a keyframe": 1}


def test_an_unknown_mount_is_waited_for(graph, loops):
    mount = FixedMount(None)
    waiting = waiting_in(graph, mount)
    waiting.add(relative_pose(1.0, 9.0), loops)
    graph.add(GraphNode(1 * SECOND, 5))
    assert add_node(graph, waiting, 6, 9.0) == []
    mount.T = np.eye(4)
    assert [edge.to_id for edge in add_node(graph, waiting, 7, 10.0)] == [6]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (relative_pose(1.0, 2.0, inliers=29), "fewer than 30 inliers"),
        (relative_pose(1.0, 2.0, scale=0), "a relative pose without scale gives no edge"),
    ],
)
def test_a_pose_that_no_graph_can_use_is_refused_at_once(graph, loops, message, reason):
    waiting_in(graph).add(message, loops)
    assert [text for text in loops.refused if text.startswith(reason)]


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40)), max_size=30),
    st.lists(st.integers(0, 60), unique=True, max_size=20),
)
@settings(deadline=None)
def test_every_pose_is_passed_on_once_refused_or_waiting(pairs, node_times):
    graph, loops = GraphNodes(tolerance=0.5), Traffic("loops", lambda _: None)
    waiting = waiting_in(graph)
    for older, gap in pairs:
        waiting.add(relative_pose(older, older + gap), loops)
    found = [edge for k, seconds in enumerate(sorted(node_times)) for edge in add_node(graph, waiting, k, seconds)]
    assert len(found) == loops.passed
    assert loops.passed + loops.refused.total() + loops.waiting == len(pairs)
    assert loops.waiting == len(waiting)


def test_poses_beyond_the_limit_are_refused_the_oldest_first(graph, loops):
    waiting = waiting_in(graph)
    for _ in range(205):
        waiting.add(relative_pose(1.0, 2.0), loops)
    assert loops.refused == {"more than 200 relative poses wait for their nodes": 5}
    assert len(waiting) == 200
