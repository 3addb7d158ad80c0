"""The one rule for chaining relative poses: the node, the offline replay, the evaluation, the report and examples.

A keyframe is connected by its edge to the newest keyframe that is connected already. A step of unknown scale
gets the length of the last measured step, because keyframes lie about as far apart; 1 while none was measured. A failed
edge and a rotation keep the position.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from loftr_ros.geometry.two_view.relative_pose import Geometry
from loftr_ros.results import KeyframeInfo, PairResult, TrajectoryPose
from perception_common.geometry import transform

MAX_POSES = 10_000  # bounds the memory and the path message of long flights


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


class Chain:
    """Chains edges to poses, one keyframe at a time."""

    def __init__(self) -> None:
        self._poses: OrderedDict[int, ChainedPose] = OrderedDict()
        self._step_length = 1.0

    def __contains__(self, key: object) -> bool:
        """Tell whether a keyframe is connected."""
        return key in self._poses

    def start(self, key: int, T_map_camera: np.ndarray | None = None) -> ChainedPose:
        """Begin a map with a keyframe, at the origin or at a given pose (4, 4)."""
        T = np.eye(4) if T_map_camera is None else T_map_camera
        return self._add(ChainedPose(key, T, np.eye(4), edge=None, is_measured=True, is_metric=True))

    def extend(self, edge: ChainEdge) -> ChainedPose:
        """Connect the newer keyframe of an edge. Raises KeyError where the older one is not connected."""
        older = self._poses[edge.older]
        step, is_measured = self._step(edge)
        return self._add(
            ChainedPose(
                edge.newer,
                older.T_map_camera @ step,
                step,
                edge=edge,
                is_measured=is_measured,
                is_metric=older.is_metric and is_measured,
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
        self._poses[pose.key] = pose
        while len(self._poses) > MAX_POSES:
            self._poses.popitem(last=False)
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
        self._poses: OrderedDict[int, TrajectoryPose] = OrderedDict()
        self._parts: dict[int, int] = {}  # first keyframe of the part of the trajectory without failed edges, by id

    def __len__(self) -> int:
        """Count the poses that are kept."""
        return len(self._poses)

    @property
    def poses(self) -> tuple[TrajectoryPose, ...]:
        """The poses in the order of their keyframes, the newest MAX_POSES of them."""
        return tuple(self._poses.values())

    @property
    def newest(self) -> TrajectoryPose | None:
        """The pose of the newest keyframe."""
        return next(reversed(self._poses.values()), None)

    def consistent_end(self, count: int) -> tuple[TrajectoryPose, ...]:
        """Return the newest poses, at most `count`, that have one scale: two, or those joined by measured steps."""
        end: list[TrajectoryPose] = []
        for pose in reversed(self._poses.values()):
            end.append(pose)
            if len(end) == count or (len(end) > 1 and (pose.assumed or end[0].assumed)):
                break
        return tuple(reversed(end))

    def rotation_between(self, older_id: int, newer_id: int) -> np.ndarray | None:
        """Return the rotation (3, 3) of a keyframe's camera in an older one's; None where no estimates join them."""
        if older_id not in self._poses or newer_id not in self._poses or self._parts[older_id] != self._parts[newer_id]:
            return None
        older, newer = (self._poses[keyframe_id].T_map_camera[:3, :3] for keyframe_id in (older_id, newer_id))
        return older.T @ newer

    def start(self, keyframe: KeyframeInfo) -> TrajectoryPose:
        """Begin with the first keyframe, at the origin."""
        self._parts[keyframe.id] = keyframe.id
        return self._add(keyframe, self._chain.start(keyframe.id), assumed="")

    def extend(self, pair: PairResult) -> TrajectoryPose:
        """Add the newer keyframe of a pair. Raises KeyError where the older one is not in the trajectory."""
        chained = self._chain.extend(chain_edge(pair))
        is_failed = pair.motion.geometry == Geometry.FAILED
        self._parts[pair.newer.id] = pair.newer.id if is_failed else self._parts[pair.older.id]
        return self._add(pair.newer, chained, assumed="" if chained.is_measured else _why_assumed(pair))

    def _add(self, keyframe: KeyframeInfo, chained: ChainedPose, *, assumed: str) -> TrajectoryPose:
        pose = TrajectoryPose(keyframe, chained.T_map_camera, is_metric=chained.is_metric, assumed=assumed)
        self._poses[keyframe.id] = pose
        while len(self._poses) > MAX_POSES:
            del self._parts[self._poses.popitem(last=False)[0]]
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
