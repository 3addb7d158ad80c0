"""Statistics of the tracks over the newest keyframes."""

from __future__ import annotations

from collections.abc import Sequence

from loftr_ros.geometry.two_view.estimation import Geometry
from loftr_ros.results import PairResult
from loftr_ros.tracks.statistics import NamedPair, TrackStatistics, collect_tracks, measure_tracks
from loftr_ros.trajectory.chain import KeyframeChain
from perception_common.cameras.camera import Camera

KEYFRAMES = 8  # in the window: a few seconds of flight, and bounded work for each keyframe


class TrackWindow:
    """Keeps the matches of the newest keyframes."""

    def __init__(self) -> None:
        self._pairs: list[NamedPair] = []

    def add(self, pairs: Sequence[PairResult], trajectory: KeyframeChain) -> TrackStatistics:
        """Add the pairs of a new keyframe and measure the tracks; pairs[0] is the one that extended the trajectory."""
        self._pairs += [
            NamedPair(p.older.id, p.newer.id, p.matches.points0, p.matches.points1, p.ids0, p.ids1) for p in pairs
        ]
        begin = self._pairs[-1].newer - KEYFRAMES + 1
        self._pairs = [pair for pair in self._pairs if pair.older >= begin]
        failed = pairs[0].motion.geometry == Geometry.FAILED
        poses = () if failed else trajectory.consistent_end(KEYFRAMES)
        cameras: dict[int, Camera] = {
            pose.keyframe.id: pose.keyframe.camera for pose in poses if pose.keyframe.camera is not None
        }
        return measure_tracks(
            collect_tracks(self._pairs), {pose.keyframe.id: pose.T_map_camera for pose in poses}, cameras
        )
