"""A request of Swarm-SLAM to match two of its keyframes, and the keyframes of ours that stand for them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from loftr_ros.bridges.edges import GraphNode, GraphNodes
from perception_common.errors import InputError


@dataclass(frozen=True)
class MatchRequest:
    """Two keyframes of Swarm-SLAM and the keyframes of ours assigned to them, in the same order."""

    nodes: tuple[GraphNode, GraphNode]
    ours: tuple[GraphNode, GraphNode]

    @property
    def in_order(self) -> MatchRequest:
        """The same request with the older keyframe of ours first."""
        if self.ours[0].id <= self.ours[1].id:
            return self
        return replace(self, nodes=self.nodes[::-1], ours=self.ours[::-1])


def assign(keyframe0_id: int, keyframe1_id: int, theirs: GraphNodes, ours: GraphNodes, reach: float) -> MatchRequest:
    """Assign keyframes of ours to two of Swarm-SLAM by stamp, at most `reach` seconds apart.

    Raises InputError where there are none.
    """
    nodes = [theirs.node(each) for each in (keyframe0_id, keyframe1_id)]
    if nodes[0] is None or nodes[1] is None:
        raise InputError("a requested keyframe was never received on cslam/keyframe_odom")
    own = [ours.nearest(node.stamp_ns) for node in nodes if node]
    if own[0] is None or own[1] is None:
        raise InputError("no keyframe was received on loftr/keyframe yet")
    if own[0].id == own[1].id:
        raise InputError("both requested keyframes are nearest to the same keyframe of loftr_node")
    for node, each in zip(nodes, own, strict=True):
        if node and each and abs(node.stamp_ns - each.stamp_ns) > reach * 1e9:
            raise InputError(f"no keyframe of loftr_node within {reach:g} s of a requested one")
    return MatchRequest((nodes[0], nodes[1]), (own[0], own[1])).in_order
