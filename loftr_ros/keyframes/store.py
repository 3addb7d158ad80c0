"""Keyframes in bounded memory, and the choice of those to try when the track is lost."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Generic, Protocol, TypeVar

import numpy as np


class Sized(Protocol):
    """An entry that knows its size in memory."""

    @property
    def nbytes(self) -> int:
        """Size of the entry, bytes."""


Entry = TypeVar("Entry", bound=Sized)


class KeyframeStore(Generic[Entry]):
    """Keyframes by id, within `limit_bytes`; the least recently used one is dropped first.

    The newest `pinned` keyframes are never dropped, even when they alone exceed the limit. An entry counts with
    its size at the time when it was added.
    """

    def __init__(self, limit_bytes: int, pinned: int = 1):
        self._entries: OrderedDict[int, tuple[Entry, int]] = OrderedDict()  # least recently used first
        self._ids: list[int] = []  # oldest first
        self._nbytes = 0
        self.resize(limit_bytes, pinned)

    def __len__(self) -> int:
        """Count the entries."""
        return len(self._ids)

    def __contains__(self, keyframe_id: object) -> bool:
        """Tell whether a keyframe is kept; does not refresh its LRU position."""
        return keyframe_id in self._entries

    @property
    def ids(self) -> tuple[int, ...]:
        """The kept ids in the order in which they were added."""
        return tuple(self._ids)

    @property
    def nbytes(self) -> int:
        """Bytes of all entries."""
        return self._nbytes

    def get(self, keyframe_id: int) -> Entry | None:
        """Return an entry and refresh its LRU position; None for one that is not kept."""
        if keyframe_id not in self._entries:
            return None
        self._entries.move_to_end(keyframe_id)
        return self._entries[keyframe_id][0]

    def newest(self, count: int) -> tuple[Entry, ...]:
        """Return at most `count` newest entries, the newest last; does not refresh their LRU positions."""
        return tuple(self._entries[keyframe_id][0] for keyframe_id in self._ids[max(0, len(self._ids) - count) :])

    def add(self, keyframe_id: int, entry: Entry) -> dict[int, Entry]:
        """Keep a new entry; returns the dropped ones by id. Raises ValueError for an id that is kept."""
        if keyframe_id in self._entries:
            raise ValueError(f"keyframe {keyframe_id} is kept already")
        size = entry.nbytes
        self._entries[keyframe_id] = entry, size
        self._ids.append(keyframe_id)
        self._nbytes += size
        return self._evict()

    def replace(self, keyframe_id: int, entry: Entry) -> None:
        """Put another entry of the same size in the place of a kept one. Raises KeyError for an id that is not kept."""
        self._entries[keyframe_id] = entry, self._entries[keyframe_id][1]

    def resize(self, limit_bytes: int, pinned: int) -> dict[int, Entry]:
        """Change the limits; returns the dropped entries by id. Raises ValueError for limits below 0 and 1."""
        if limit_bytes < 0 or pinned < 1:
            raise ValueError(f"limit_bytes must not be negative and pinned at least 1, got {limit_bytes} and {pinned}")
        self._limit_bytes, self._pinned = limit_bytes, pinned
        return self._evict()

    def clear(self) -> None:
        """Drop all entries."""
        self._entries.clear()
        self._ids.clear()
        self._nbytes = 0

    def _evict(self) -> dict[int, Entry]:
        pinned = set(self._ids[-self._pinned :])
        dropped = {}
        for keyframe_id in list(self._entries):
            if self._nbytes <= self._limit_bytes:
                break
            if keyframe_id not in pinned:
                dropped[keyframe_id], size = self._entries.pop(keyframe_id)
                self._nbytes -= size
                self._ids.remove(keyframe_id)
        return dropped


@dataclass(frozen=True, eq=False)
class Place:
    """A keyframe on the trajectory. position: (3,) of its camera, in any unit; None where it is unknown.

    similarity: of its image to the one that lost the track; None where it is unknown.
    """

    id: int
    position: np.ndarray | None = None
    similarity: float | None = None


def recovery_candidates(places: Sequence[Place], count: int) -> tuple[int, ...]:
    """Return the ids of keyframes to try when the track is lost, the most promising first.

    places: the kept keyframes, oldest first; the last one is the one just lost and is not tried again. Four guesses
    take turns: the newest one left (the loss was short), the most similar one, where all similarities are known (the
    drone came back to a place that looks like it), the one nearest to the lost one on the map (the drone was there
    before), and the one farthest from all tried ones (the map is wrong, or the drone was carried). Where a position is
    unknown, keyframe counts replace all distances.
    """
    if len(places) < 2:
        return ()
    points, similarity = _points(places), np.array([place.similarity for place in places[:-1]])
    lost = len(places) - 1
    from_lost = _distances(points, lost)
    nearest_tried = from_lost.copy()
    tried, is_left = [lost], np.ones(lost, bool)
    look: tuple[Callable[[], np.ndarray], ...] = () if None in similarity else (lambda: similarity,)
    guesses: tuple[Callable[[], np.ndarray], ...] = (
        lambda: np.arange(lost),
        *look,
        lambda: -from_lost[:-1],
        lambda: nearest_tried[:-1],
    )
    for guess in cycle(guesses):
        if not is_left.any() or len(tried) > count:
            break
        values = np.where(is_left, guess(), -np.inf)
        best = int(np.flatnonzero(values == values.max())[-1])
        is_left[best] = False
        tried.append(best)
        nearest_tried = np.minimum(nearest_tried, _distances(points, best))
    return tuple(places[k].id for k in tried[1:])


def _points(places: Sequence[Place]) -> np.ndarray:
    """Positions (N, D) of places; their numbers where a position is missing."""
    known = [place.position for place in places if place.position is not None]
    return np.array(known) if len(known) == len(places) else np.arange(len(places), dtype=float)[:, None]


def _distances(points: np.ndarray, index: int) -> np.ndarray:
    """Distances (N,) of points (N, D) from one of them."""
    distances: np.ndarray = np.linalg.norm(points - points[index], axis=-1)
    return distances
