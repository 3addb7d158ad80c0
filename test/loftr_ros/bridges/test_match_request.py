"""Keyframes of Swarm-SLAM are assigned to ours by stamp."""

import pytest

from loftr_ros.bridges.edges import GraphNode, GraphNodes
from loftr_ros.bridges.match_request import MatchRequest, assign
from perception_common.errors import InputError

SECOND = 10**9


def nodes(**stamps):
    """Nodes by id: n7=1.5 has the id 7 and is at 1.5 s."""
    made = GraphNodes(tolerance=0.1)
    for name, stamp in stamps.items():
        made.add(GraphNode(int(stamp * SECOND), int(name[1:])))
    return made


def test_loftr_node_is_called_with_the_older_keyframe_first():
    theirs, ours = (GraphNode(20, 8), GraphNode(10, 2)), (GraphNode(21, 5), GraphNode(11, 1))
    request = MatchRequest(theirs, ours).in_order
    assert [each.id for each in request.ours] == [1, 5]
    assert [each.id for each in request.nodes] == [2, 8]
    assert request.in_order == request


def test_the_keyframes_nearest_in_time_are_assigned_the_older_one_first():
    request = assign(9, 4, theirs=nodes(n4=1.0, n9=8.0), ours=nodes(n1=1.25, n2=4.0, n3=7.75), reach=1.0)
    assert [each.id for each in request.nodes] == [4, 9]
    assert [each.id for each in request.ours] == [1, 3]


@pytest.mark.parametrize(
    ("theirs", "ours", "reason"),
    [
        ({"n4": 1.0}, {"n1": 1.0, "n2": 8.0}, "a requested keyframe was never received"),
        ({"n4": 1.0, "n9": 8.0}, {}, "no keyframe was received on loftr/keyframe yet"),
        ({"n4": 1.0, "n9": 8.0}, {"n1": 4.0}, "nearest to the same keyframe of loftr_node"),
        ({"n4": 1.0, "n9": 8.0}, {"n1": 1.0, "n2": 5.0}, "no keyframe of loftr_node within 1 s of a requested one"),
    ],
)
def test_a_request_without_keyframes_of_ours_is_refused_with_the_reason(theirs, ours, reason):
    with pytest.raises(InputError, match=reason):
        assign(4, 9, theirs=nodes(**theirs), ours=nodes(**ours), reach=1.0)
