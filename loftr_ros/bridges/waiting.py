"""Relative poses that wait for the nodes of an external pose graph."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from loftr_ros.bridges.edges import End, GraphEdge, GraphNodes, edge_of_pose, metric_pose
from perception_common.errors import InputError
from perception_common.node.bridges.traffic import Traffic
from perception_common.stamps import time_ns

_PENDING = 200  # maximum number of relative poses that wait for their nodes; empirical


class Mount(Protocol):
    """Where the camera is mounted: MountLookup, or a fixed pose."""

    @property
    def is_asked_for(self) -> bool:
        """Whether edges are between base frames."""

    def lookup(self, optical_frame: str, stamp_ns: int) -> np.ndarray | None:
        """Return T_base_camera (4, 4) at a stamp; None where it is unknown."""


def mount_at(mount: Mount, optical_frame: str, stamp_ns: int) -> np.ndarray | None:
    """Return T_base_camera (4, 4); None if edges are between optical frames. Raises InputError if it is unknown."""
    T = mount.lookup(optical_frame, stamp_ns)
    if T is None and mount.is_asked_for:
        raise InputError("the pose of the camera in the base frame is unknown")
    return T


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A metric relative pose. traffic: where it is counted."""

    frame: str
    older_ns: int
    newer_ns: int
    T: np.ndarray
    covariance: np.ndarray
    traffic: Traffic


class WaitingPoses:
    """Turns relative poses into edges as soon as the graph has nodes near both keyframes.

    A pose comes before or after the nodes of its keyframes, and the node that follows a keyframe may be the nearer one.
    Every pose that `add` takes is either yielded once by `edges`, refused with a reason, or still waiting.
    """

    def __init__(
        self, system: str, nodes: GraphNodes, mount: Mount, *, reach: float, patience: float, min_inliers: int
    ):
        """system: name of the SLAM system. reach, patience: seconds, see the parameters of the bridges."""
        self._system = system
        self._nodes = nodes
        self._mount = mount
        self._reach, self._patience, self._min_inliers = reach, patience, min_inliers
        self._waiting: deque[_Waiting] = deque()

    def __len__(self) -> int:
        """Count the poses that wait."""
        return len(self._waiting)

    def add(self, message: Any, traffic: Traffic) -> None:
        """Take a yolc_ros/RelativePose, or refuse one that no graph can use. traffic: counts it."""
        traffic.receive()
        if message.inliers < self._min_inliers:
            traffic.refuse(f"fewer than {self._min_inliers} inliers")
            return
        try:
            T, covariance = metric_pose(message)
        except InputError as error:
            traffic.refuse(str(error))
            return
        if len(self._waiting) == _PENDING:
            self._waiting.popleft().traffic.refuse(f"more than {_PENDING} relative poses wait for their nodes")
        older, newer = (time_ns(each) for each in (message.older_stamp, message.newer_stamp))
        self._waiting.append(_Waiting(message.header.frame_id, older, newer, T, covariance, traffic))

    def edges(self, now_ns: int) -> Iterator[tuple[GraphEdge, Traffic]]:
        """Yield the edges that became possible, each with the traffic that counts it.

        now_ns: stamp of the newest node. The caller passes each edge on, or refuses it.
        """
        waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            if each.newer_ns > now_ns:  # the next node may be nearer to the keyframe
                self._waiting.append(each)
                continue
            try:
                edge = self._edge(each)
            except InputError as error:
                if now_ns - each.newer_ns < self._patience * 1e9:
                    self._waiting.append(each)
                else:
                    each.traffic.refuse(str(error))
                continue
            yield edge, each.traffic

    def _edge(self, pose: _Waiting) -> GraphEdge:
        older, newer = (self._end(pose.frame, stamp) for stamp in (pose.older_ns, pose.newer_ns))
        return edge_of_pose(pose.T, pose.covariance, older, newer)

    def _end(self, frame: str, keyframe_ns: int) -> End:
        node = self._nodes.nearest(keyframe_ns)
        if node is None or abs(node.stamp_ns - keyframe_ns) > self._reach * 1e9:
            raise InputError(f"{self._system} has no node within {self._reach:g} s of a keyframe")
        return self._nodes.end(node, keyframe_ns, mount_at(self._mount, frame, keyframe_ns))
