"""The chain of keyframe poses: metric where the scale of every step is known, and never called so where it is not."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from loftr_ros.geometry.two_view.estimation import Geometry
from loftr_ros.results import KeyframeInfo, PairResult, TrajectoryPose
from perception_common.geometry import transform

LENGTH = 10_000  # poses that are kept


class PoseChain:
    """Chains pairs of keyframes, each from any keyframe that stands in it already.

    A step of unknown scale is as long as the last one that was measured, for keyframes lie about as far apart; it is 1
    while none was. A pair without a pose adds a keyframe at the same place.
    """

    def __init__(self) -> None:
        self._poses: OrderedDict[int, TrajectoryPose] = OrderedDict()
        self._step = 1.0

    def __len__(self) -> int:
        """Count the poses that are kept."""
        return len(self._poses)

    @property
    def poses(self) -> tuple[TrajectoryPose, ...]:
        """The poses in the order of their keyframes, the newest LENGTH of them."""
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

    def start(self, keyframe: KeyframeInfo) -> TrajectoryPose:
        """Begin with the first keyframe, at the origin."""
        return self._add(TrajectoryPose(keyframe, np.eye(4), True, ""))

    def extend(self, pair: PairResult) -> TrajectoryPose:
        """Add the newer keyframe of a pair. Raises KeyError where the older one is not in the trajectory."""
        before = self._poses[pair.older.id]
        step, assumed = self._step_of(pair)
        return self._add(
            TrajectoryPose(pair.newer, before.T_map_camera @ step, before.is_metric and not assumed, assumed)
        )

    def _step_of(self, pair: PairResult) -> tuple[np.ndarray, str]:
        """T_older_newer (4, 4), and why its length is a guess."""
        if pair.motion.geometry == Geometry.FAILED:
            return np.eye(4), f"no pose: {pair.motion.reason}"
        if pair.motion.geometry == Geometry.ROTATION_ONLY:
            return pair.matrix, ""
        if pair.is_metric:
            self._step = float(np.linalg.norm(pair.matrix[:3, 3]))
            return pair.matrix, ""
        return transform(pair.motion.rotation, self._step * pair.motion.translation), pair.scale.reason

    def _add(self, pose: TrajectoryPose) -> TrajectoryPose:
        self._poses[pose.keyframe.id] = pose
        while len(self._poses) > LENGTH:
            self._poses.popitem(last=False)
        return pose
