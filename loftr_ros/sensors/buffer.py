"""Readings by stamp, for images that were taken a little earlier or later."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

RESTART = 10 * 10**9  # nanoseconds; no reading is late by so much


class Stamped(Protocol):
    """Anything with a stamp in nanoseconds."""

    @property
    def stamp_ns(self) -> int:
        """When it was measured."""


T = TypeVar("T", bound=Stamped)


@dataclass(frozen=True)
class Aged(Generic[T]):
    """A reading, and how far in time it was measured from the moment asked for, seconds (0 between two readings)."""

    value: T
    age: float


class StampedBuffer(Generic[T]):
    """The newest readings by stamp, at most `size`; thread-safe. They may come in any order.

    A reading with the stamp of another one replaces it; one older than all that a full buffer holds is left out. One
    that is RESTART older than the newest says that time began anew, as when a bag starts over: the others go.
    """

    def __init__(self, size: int):
        if size < 1:
            raise ValueError(f"a buffer holds at least one reading, not {size}")
        self._size = size
        self._lock = threading.Lock()
        self._stamps: list[int] = []
        self._readings: list[T] = []

    def add(self, reading: T) -> None:
        """Keep a reading."""
        stamp = reading.stamp_ns
        with self._lock:
            if self._stamps and stamp < self._stamps[-1] - RESTART:
                self._stamps.clear()
                self._readings.clear()
            place = bisect.bisect_left(self._stamps, stamp)
            if place < len(self._stamps) and self._stamps[place] == stamp:
                self._readings[place] = reading
                return
            self._stamps.insert(place, stamp)
            self._readings.insert(place, reading)
            if len(self._stamps) > self._size:
                del self._stamps[0], self._readings[0]

    def clear(self) -> None:
        """Forget all readings."""
        with self._lock:
            self._stamps.clear()
            self._readings.clear()

    def __len__(self) -> int:
        """Count the readings."""
        with self._lock:
            return len(self._stamps)

    def neighbours(self, stamp_ns: int) -> tuple[T | None, T | None]:
        """Return the last reading at or before a stamp and the first one at or after it."""
        with self._lock:
            place = bisect.bisect_left(self._stamps, stamp_ns)
            after = self._readings[place] if place < len(self._readings) else None
            if after is not None and after.stamp_ns == stamp_ns:
                return after, after
            return (self._readings[place - 1] if place else None), after

    def nearest(self, stamp_ns: int) -> Aged[T] | None:
        """Return the reading next in time, the earlier of two as near; None where there is none."""
        found = [reading for reading in self.neighbours(stamp_ns) if reading is not None]
        if not found:
            return None
        best = min(found, key=lambda reading: abs(reading.stamp_ns - stamp_ns))
        return Aged(best, abs(best.stamp_ns - stamp_ns) / 1e9)

    def between(self, stamp_ns: int, mix: Callable[[T, T, float], T], max_gap: float) -> Aged[T] | None:
        """Return the reading at a stamp, interpolated where its neighbours are at most `max_gap` seconds apart.

        mix(a, b, share) gives the reading at `share` (0 to 1) of the time from a to b. Else it is the nearest one.
        """
        before, after = self.neighbours(stamp_ns)
        if before is None or after is None:
            return self.nearest(stamp_ns)
        gap = after.stamp_ns - before.stamp_ns
        if gap == 0:
            return Aged(before, 0.0)
        if gap > max_gap * 1e9:
            return self.nearest(stamp_ns)
        return Aged(mix(before, after, (stamp_ns - before.stamp_ns) / gap), 0.0)
