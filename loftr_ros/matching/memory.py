"""The keyframes that can still be matched: the recent ones with their features, older ones with their images alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Generic

import numpy as np

from loftr_ros.image_matcher import Encoded
from loftr_ros.keyframes.store import KeyframeStore
from loftr_ros.loops.archive import ImageArchive, UnencodedKeyframe
from loftr_ros.matching.keyframe import Keyframe
from perception_common.errors import InputError


class KeyframeMemory(Generic[Encoded]):
    """Keyframes by id. The features of the least recently used ones go first; their images are kept in an archive.

    features_bytes, images_bytes: limits. folder: of the images; empty: in memory. next_id: of the first keyframe.
    Raises InputError for a folder that cannot be written to.
    """

    def __init__(self, features_bytes: int, images_bytes: int, folder: str, next_id: int = 0):
        self._store: KeyframeStore[Keyframe[Encoded]] = KeyframeStore(features_bytes)
        self._archive = ImageArchive(images_bytes, folder)
        self._next_id = next_id

    @property
    def next_id(self) -> int:
        """Id of the next keyframe."""
        return self._next_id

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the keyframes that can still be matched, oldest first."""
        return tuple(sorted((*self._archive.ids, *self._store.ids)))

    @property
    def nbytes(self) -> int:
        """Memory of the keyframes and of their images, bytes."""
        return self._store.nbytes + self._archive.nbytes

    @property
    def problem(self) -> str:
        """One line about images that cannot be kept on disk; empty while all is well."""
        return self._archive.problem

    def newest(self, count: int) -> tuple[Keyframe[Encoded], ...]:
        """Return at most `count` newest keyframes, the newest last."""
        return self._store.newest(count)

    def add(self, keyframe: Keyframe[Encoded]) -> tuple[int, ...]:
        """Keep a new keyframe; returns the ids of those whose features had to go."""
        self._next_id = keyframe.info.id + 1
        return self._put_away(self._store.add(keyframe.info.id, keyframe))

    def resize(self, features_bytes: int, images_bytes: int, pinned: int) -> tuple[int, ...]:
        """Change the limits; returns the ids of keyframes whose features had to go. pinned: newest that are kept."""
        self._archive.limit_bytes = images_bytes
        return self._put_away(self._store.resize(features_bytes, pinned))

    def clear(self) -> None:
        """Drop all keyframes. Ids are not used again."""
        self._store.clear()
        self._archive.clear()

    def find(self, keyframe_id: int, encode: Callable[[np.ndarray], Encoded]) -> Keyframe[Encoded] | None:
        """Return a keyframe, encoded again where its features had to go; None for one that is not kept."""
        keyframe = self._store.get(keyframe_id)
        if keyframe is None and (archived := self._archive.get(keyframe_id)):
            return Keyframe(archived.info, encode(archived.image), archived.image, archived.readings)
        return keyframe

    def unencoded(self, keyframe_id: int) -> UnencodedKeyframe | None:
        """Return a keyframe without its features; None for one that is not kept."""
        keyframe = self._store.get(keyframe_id)
        if keyframe is None:
            return self._archive.get(keyframe_id)
        return UnencodedKeyframe(keyframe.info, keyframe.image, keyframe.readings)

    def get(self, keyframe_id: int, encode: Callable[[np.ndarray], Encoded]) -> Keyframe[Encoded]:
        """Return a keyframe as `find` does. Raises InputError for one that is not kept."""
        keyframe = self.find(keyframe_id, encode)
        if keyframe is None and keyframe_id < self._next_id:
            raise InputError(f"keyframe {keyframe_id} is no longer kept: kept are {_describe_ids(self.ids)}")
        if keyframe is None:
            raise InputError(f"there is no keyframe {keyframe_id}: kept are {_describe_ids(self.ids)}")
        return keyframe

    def complete_mounts(self, lookup: Callable[[str, int], np.ndarray | None]) -> None:
        """Look up the mounts of keyframes that have none: their transforms may have arrived meanwhile.

        lookup: returns T_base_camera (4, 4) of a frame_id at a stamp in nanoseconds, or None.
        """
        for keyframe in self._store.newest(len(self._store)):
            info = keyframe.info
            if info.T_base_camera is None and (found := lookup(info.frame_id, info.stamp_ns)) is not None:
                self._store.replace(info.id, replace(keyframe, info=replace(info, T_base_camera=found)))

    def _put_away(self, dropped: dict[int, Keyframe[Encoded]]) -> tuple[int, ...]:
        for keyframe in dropped.values():
            self._archive.add(keyframe.info, keyframe.image, keyframe.readings)
        return tuple(dropped)


def _describe_ids(ids: tuple[int, ...]) -> str:
    return f"{ids[0]} to {ids[-1]}, {len(ids)} of them" if ids else "none"
