"""Statistics of the tracks over the newest keyframes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from loftr_ros.tracks.statistics import NamedPair, TrackStatistics, collect_tracks, measure_tracks
from perception_common.cameras.camera import Camera

KEYFRAMES = 8  # in the window: a few seconds of flight, and bounded work for each keyframe


class TrackWindow:
    """Keeps the matches of the newest keyframes."""

    def __init__(self) -> None:
        self._pairs: list[NamedPair] = []

    def add(
        self, pairs: Sequence[NamedPair], poses: Mapping[int, np.ndarray], cameras: Mapping[int, Camera]
    ) -> TrackStatistics:
        """Add the pairs of a new keyframe and measure the tracks.

        poses: T_map_camera (4, 4) of the newest keyframes, all of one scale, and cameras: both by keyframe id, empty
        where they are unknown.
        """
        self._pairs += pairs
        begin = self._pairs[-1].newer - KEYFRAMES + 1
        self._pairs = [pair for pair in self._pairs if pair.older >= begin]
        return measure_tracks(collect_tracks(self._pairs), poses, cameras)
