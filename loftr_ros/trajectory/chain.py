"""The one rule for chaining relative poses: the node, the offline replay, the evaluation, the report and examples.

A keyframe is connected by its edge to the newest keyframe that is connected already. A step of unknown scale
gets the length of the last measured step, because keyframes lie about as far apart; 1 while none was measured. A failed
edge and a rotation keep the position.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.results import KeyframeInfo, PairResult, TrajectoryPose
from loftr_ros.trajectory.pose_log import PoseLog
from perception_common.geometry import transform

MAX_POSES = 10_000  # bounds the memory and the path message of long flights
_FULL_POSES = 16  # newest ones that are kept with their keyframes, for `consistent_end`


@dataclass(frozen=True, eq=False)
class ChainEdge:
    """A relative pose as the chain needs it.

    older, newer: keys of the keyframes that order them in time (ids or stamps). T_older_newer: (4, 4), its translation
    of length 1 where the scale is unknown. geometry: of the pair. is_metric: T_older_newer is in metres.
    """

    older: int
    newer: int
    T_older_newer: np.ndarray
    geometry: Geometry
    is_metric: bool

    @property
    def moves(self) -> bool:
        """Whether the edge has a translation."""
        return self.geometry in (Geometry.GENERAL, Geometry.PLANAR)


@dataclass(frozen=True, eq=False)
class ChainedPose:
    """Pose (4, 4) of a keyframe in the map.

    step: (4, 4), T_older_newer with the length that the chain gave it. edge: that connects the keyframe, None for a
    start. is_measured: the length of the step is measured. is_metric: so are all steps since the start.
    """

    key: int
    T_map_camera: np.ndarray
    step: np.ndarray
    edge: ChainEdge | None
    is_measured: bool
    is_metric: bool


@dataclass(frozen=True, eq=False)
class MapPoses:
    """Poses of N keyframes. ids: (N,) int64. stamps_ns: (N,) int64. matrices: (N, 4, 4), T_map_camera."""

    ids: np.ndarray
    stamps_ns: np.ndarray
    matrices: np.ndarray


class Chain:
    """Chains edges to poses, one keyframe at a time."""

    def __init__(self) -> None:
        self._log = PoseLog(MAX_POSES)
        self._step_length = 1.0

    def __contains__(self, key: object) -> bool:
        """Tell whether a keyframe is connected, and among the newest MAX_POSES."""
        return key in self._log

    @property
    def keys(self) -> np.ndarray:
        """Keys (N,) int64 of the newest MAX_POSES connected keyframes, in order."""
        return self._log.keys

    @property
    def matrices(self) -> np.ndarray:
        """T_map_camera (N, 4, 4) of those keyframes."""
        return self._log.matrices

    def start(self, key: int, T_map_camera: np.ndarray | None = None) -> ChainedPose:
        """Begin a map with a keyframe, at the origin or at a given pose (4, 4)."""
        T = np.eye(4) if T_map_camera is None else T_map_camera
        return self._add(ChainedPose(key, T, np.eye(4), edge=None, is_measured=True, is_metric=True))

    def extend(self, edge: ChainEdge) -> ChainedPose:
        """Connect the newer keyframe of an edge. Raises KeyError where the older one is not connected."""
        T_map_older, is_older_metric = self._log.get(edge.older)
        step, is_measured = self._step(edge)
        return self._add(
            ChainedPose(
                edge.newer,
                T_map_older @ step,
                step,
                edge=edge,
                is_measured=is_measured,
                is_metric=is_older_metric and is_measured,
            )
        )

    def connect(self, edges: Iterable[ChainEdge]) -> ChainedPose | None:
        """Connect a keyframe by the best of the edges to it; returns None where no edge comes from a connected one."""
        usable = [edge for edge in edges if edge.older in self]
        return self.extend(max(usable, key=lambda edge: edge.older)) if usable else None

    def _step(self, edge: ChainEdge) -> tuple[np.ndarray, bool]:
        """T_older_newer (4, 4), and whether its length is measured."""
        if edge.geometry == Geometry.FAILED:
            return np.eye(4), False
        if not edge.moves:
            return edge.T_older_newer, True
        if edge.is_metric:
            self._step_length = float(np.linalg.norm(edge.T_older_newer[:3, 3]))
            return edge.T_older_newer, True
        return transform(edge.T_older_newer[:3, :3], self._step_length * edge.T_older_newer[:3, 3]), False

    def _add(self, pose: ChainedPose) -> ChainedPose:
        self._log.append(pose.key, pose.T_map_camera, is_metric=pose.is_metric)
        return pose


def edges_by_newer(edges: Iterable[ChainEdge]) -> dict[int, list[ChainEdge]]:
    """Group edges by their newer keyframe, in the order of the keyframes."""
    groups: defaultdict[int, list[ChainEdge]] = defaultdict(list)
    for edge in edges:
        groups[edge.newer].append(edge)
    return dict(sorted(groups.items()))


def chain_edges(edges: Iterable[ChainEdge]) -> tuple[ChainedPose, ...]:
    """Chain the edges of a recording; the poses are in the frame of its oldest keyframe, in order.

    Keyframes that nothing connects, as after a restart of the node, are left out.
    """
    chain = Chain()
    poses: list[ChainedPose] = []
    for group in edges_by_newer(edges).values():
        if not poses:
            poses.append(chain.start(max(edge.older for edge in group)))
        if pose := chain.connect(group):
            poses.append(pose)
    return tuple(poses)


class KeyframeChain:
    """The trajectory of the keyframes while the drone flies."""

    def __init__(self) -> None:
        self._chain = Chain()
        self._stamps: deque[int] = deque(maxlen=MAX_POSES)
        self._newest: deque[TrajectoryPose] = deque(maxlen=_FULL_POSES)

    def __len__(self) -> int:
        """Count the poses that are kept."""
        return len(self._stamps)

    @property
    def poses(self) -> MapPoses:
        """The poses in the order of their keyframes, the newest MAX_POSES of them."""
        return MapPoses(self._chain.keys.copy(), np.array(self._stamps, np.int64), self._chain.matrices.copy())

    @property
    def newest(self) -> TrajectoryPose | None:
        """The pose of the newest keyframe."""
        return self._newest[-1] if self._newest else None

    def consistent_end(self, count: int) -> tuple[TrajectoryPose, ...]:
        """Return the newest poses, at most `count`, that have one scale: two, or those joined by measured steps.

        Raises ValueError for a count above 16.
        """
        if count > _FULL_POSES:
            raise ValueError(f"at most {_FULL_POSES} poses are kept with their keyframes, not {count}")
        end: list[TrajectoryPose] = []
        for pose in reversed(self._newest):
            end.append(pose)
            if len(end) == count or (len(end) > 1 and (pose.assumed or end[0].assumed)):
                break
        return tuple(reversed(end))

    def start(self, keyframe: KeyframeInfo) -> TrajectoryPose:
        """Begin with the first keyframe, at the origin."""
        return self._add(keyframe, self._chain.start(keyframe.id), assumed="")

    def extend(self, pair: PairResult) -> TrajectoryPose:
        """Add the newer keyframe of a pair. Raises KeyError where the older one is not in the trajectory."""
        chained = self._chain.extend(chain_edge(pair))
        return self._add(pair.newer, chained, assumed="" if chained.is_measured else _why_assumed(pair))

    def _add(self, keyframe: KeyframeInfo, chained: ChainedPose, *, assumed: str) -> TrajectoryPose:
        pose = TrajectoryPose(keyframe, chained.T_map_camera, is_metric=chained.is_metric, assumed=assumed)
        self._stamps.append(keyframe.stamp_ns)
        self._newest.append(pose)
        return pose


def chain_edge(pair: PairResult) -> ChainEdge:
    """Return the edge of a pair, keyed by keyframe ids."""
    return ChainEdge(
        pair.older.id,
        pair.newer.id,
        pair.matrix,
        geometry=pair.motion.geometry,
        is_metric=pair.is_metric,
    )


def _why_assumed(pair: PairResult) -> str:
    """Say why the length of the step to the newer keyframe is not measured."""
    is_failed = pair.motion.geometry == Geometry.FAILED
    return f"no pose: {pair.motion.reason}" if is_failed else pair.scale.reason
