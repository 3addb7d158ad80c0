"""Relative poses between poses of the vehicle; those whose transform is not there yet wait for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import PoseWithCovariance

from loftr_ros.base_frame import edge_between_bases
from loftr_ros.results import KeyframeInfo, PairResult
from loftr_ros.ros.messages import pose_message, relative_pose_message
from loftr_ros.sensors.camera_mount import CameraMount
from perception_common.sensors.transform_tree import Missing, TransformLookup
from yolc_ros.msg import RelativePose

_CAPACITY = 1000  # edges that may wait: minutes of flight, 2 MB
_PATIENCE_NS = 5 * 10**9  # after so long a late transform is worth a warning; that of missing images by default


@dataclass(frozen=True, eq=False)
class _CameraEdge:
    """A relative pose between cameras, T (4, 4) with its covariance (6, 6)."""

    older: KeyframeInfo
    newer: KeyframeInfo
    message: RelativePose
    T: np.ndarray
    covariance: np.ndarray
    is_metric: bool


class BaseEdges:
    """Turns the pairs of keyframes into messages for loftr/relative_pose_base. Use it from one thread.

    given_up: count of the edges whose transform never comes, by reason.
    """

    def __init__(self, mount: CameraMount):
        self.given_up: Counter[str] = Counter()
        self._mount = mount
        self._waiting: list[_CameraEdge] = []
        self._trouble = ""
        self._lookups: dict[tuple[str, int], TransformLookup] = {}  # of one pass

    @property
    def waiting(self) -> int:
        """Number of edges that wait for a transform."""
        return len(self._waiting)

    @property
    def problem(self) -> str:
        """One line about what is missing now; empty while nothing is."""
        return self._trouble

    def update(self, pairs: Sequence[PairResult] = ()) -> tuple[RelativePose, ...]:
        """Add pairs, and return the messages of all edges whose transforms are known now, the oldest first."""
        self._waiting += [_camera_edge(pair) for pair in pairs]
        self._lookups.clear()
        done: list[RelativePose] = []
        waiting: list[_CameraEdge] = []
        late = lost = ""
        for edge in self._waiting:
            mounts = [self._find(keyframe) for keyframe in (edge.older, edge.newer)]
            if never := next((found.reason for found in mounts if found.missing is Missing.NEVER), ""):
                lost = never
                self.given_up[never] += 1
            elif missing := next((found for found in mounts if found.missing is not None), None):
                waiting.append(edge)
                late = late or self._complaint(edge, missing)
            else:
                done.append(_message(edge, mounts, self._mount.base_frame))
        for _ in waiting[:-_CAPACITY]:
            self.given_up[f"more than {_CAPACITY} of them waited for a transform"] += 1
        self._waiting = waiting[-_CAPACITY:]
        if late:
            self._trouble = f"{late}: {self.waiting} base edges wait for it"
        elif lost:
            self._trouble = f"{lost}: {self.given_up.total()} base edges were given up"
        elif done:
            self._trouble = ""
        return tuple(done)

    def forget(self) -> None:
        """Give up what is waiting: the clock restarted, or there are no more images."""
        if self._waiting:
            self.given_up["the images ended or started anew before the transform arrived"] += len(self._waiting)
        self._waiting, self._trouble = [], ""

    def _find(self, keyframe: KeyframeInfo) -> TransformLookup:
        if keyframe.T_base_camera is not None:  # the one that the pose was estimated with
            return TransformLookup(keyframe.T_base_camera)
        key = keyframe.frame_id, keyframe.stamp_ns
        if key not in self._lookups:
            self._lookups[key] = self._mount.find(*key)
        return self._lookups[key]

    def _complaint(self, edge: _CameraEdge, missing: TransformLookup) -> str:
        """Return why an edge waits, if that needs attention; a transform that is a little late does not."""
        age = self._waiting[-1].newer.stamp_ns - edge.older.stamp_ns
        return missing.reason if missing.missing is Missing.UNCONNECTED or age > _PATIENCE_NS else ""


def _camera_edge(pair: PairResult) -> _CameraEdge:
    return _CameraEdge(
        pair.older, pair.newer, relative_pose_message(pair), pair.matrix, pair.covariance, is_metric=pair.is_metric
    )


def _message(edge: _CameraEdge, mounts: Sequence[TransformLookup], base_frame: str) -> RelativePose:
    T_older, T_newer = (found.T for found in mounts)
    assert T_older is not None
    T, covariance = edge_between_bases(edge.T, edge.covariance, T_older, T_newer, is_metric=edge.is_metric)
    edge.message.header.frame_id = base_frame
    edge.message.pose = PoseWithCovariance(pose=pose_message(T), covariance=covariance.ravel())
    return edge.message
