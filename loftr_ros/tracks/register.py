"""The keypoint ids of all kept keyframes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from loftr_ros.tracks.keypoint_ids import KeypointIds, longest_first, name_matches


class KeypointRegister:
    """Gives ids to the keypoints of matches. Ids persist while their keyframe is kept, and are not used again.

    next_id: the first id that is not in use.
    """

    def __init__(self, next_id: int = 0) -> None:
        self._next_id = next_id
        self._keypoints: dict[int, KeypointIds] = {}

    @property
    def next_id(self) -> int:
        """The first id that was not given."""
        return self._next_id

    def add(self, keyframe_id: int) -> None:
        """Begin with a keyframe, which has no keypoints yet."""
        self._keypoints[keyframe_id] = KeypointIds()

    def drop(self, keyframe_ids: Iterable[int]) -> None:
        """Forget the keypoints of keyframes."""
        for keyframe_id in keyframe_ids:
            del self._keypoints[keyframe_id]

    def clear(self) -> None:
        """Forget all keypoints."""
        self._keypoints.clear()

    def known_points(self, keyframe_id: int) -> np.ndarray | None:
        """Return the known points (K, 2) of a keyframe, longest track first; None for one that is not registered."""
        return longest_first(self._keypoints, keyframe_id) if keyframe_id in self._keypoints else None

    def name(
        self,
        older_id: int,
        newer_id: int,
        points0: np.ndarray,
        points1: np.ndarray,
        *,
        radius: float,
        inlier: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids (N,) uint32 of the matched points (N, 2), pixels, of two keyframes; see `name_matches`."""
        before0, before1 = (self._keypoints.get(keyframe_id, KeypointIds()) for keyframe_id in (older_id, newer_id))
        named = name_matches(before0, before1, points0, points1, self._next_id, radius=radius, inlier=inlier)
        after = {older_id: named.keypoints0, newer_id: named.keypoints1}
        self._keypoints |= {keyframe_id: ids for keyframe_id, ids in after.items() if keyframe_id in self._keypoints}
        self._next_id = named.next_id
        return named.ids0, named.ids1
