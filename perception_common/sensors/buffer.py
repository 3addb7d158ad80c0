"""A buffer of stamped sensor readings with lookup at the stamp of an image."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

RESTART_NS = 10 * 10**9  # a reading older by more is not late: the clock restarted


class Stamped(Protocol):
    """Anything with a stamp in nanoseconds."""

    @property
    def stamp_ns(self) -> int:
        """Time of the measurement."""


T = TypeVar("T", bound=Stamped)


@dataclass(frozen=True)
class Aged(Generic[T]):
    """A reading; age: seconds between its stamp and the requested one, 0 for an interpolated reading."""

    value: T
    age: float


class StampedBuffer(Generic[T]):
    """The newest readings by stamp, added in any order; thread-safe.

    A reading replaces another one of the same stamp. A buffer with more than `size` readings drops its oldest one;
    where `span_ns` is given, only if that is older than the newest one by more, or if there are more than `most`. A
    reading RESTART_NS older than the newest one means that the clock restarted, for example a bag that plays in a loop:
    all others are dropped.
    """

    def __init__(self, size: int, span_ns: int = 0, most: int = 0):
        if size < 1:
            raise ValueError(f"the size of a buffer must be at least one, not {size}")
        self._size = size
        self._span_ns = span_ns
        self._most = max(size, most)
        self._lock = threading.Lock()
        self._stamps: list[int] = []
        self._readings: list[T] = []

    def add(self, reading: T) -> None:
        """Add a reading."""
        stamp = reading.stamp_ns
        with self._lock:
            if self._stamps and stamp < self._stamps[-1] - RESTART_NS:
                self._stamps.clear()
                self._readings.clear()
            place = bisect.bisect_left(self._stamps, stamp)
            if place < len(self._stamps) and self._stamps[place] == stamp:
                self._readings[place] = reading
                return
            self._stamps.insert(place, stamp)
            self._readings.insert(place, reading)
            count, span = len(self._stamps), self._stamps[-1] - self._stamps[0]
            if count > self._most or (count > self._size and span > self._span_ns):
                del self._stamps[0], self._readings[0]

    def drop_after(self, stamp_ns: int) -> None:
        """Drop the readings after a stamp."""
        with self._lock:
            end = bisect.bisect_right(self._stamps, stamp_ns)
            del self._stamps[end:], self._readings[end:]

    def clear(self) -> None:
        """Drop all readings."""
        with self._lock:
            self._stamps.clear()
            self._readings.clear()

    def __len__(self) -> int:
        """Count the readings."""
        with self._lock:
            return len(self._stamps)

    @property
    def newest(self) -> T | None:
        """The reading with the newest stamp; None in an empty buffer."""
        with self._lock:
            return self._readings[-1] if self._readings else None

    def neighbours(self, stamp_ns: int) -> tuple[T | None, T | None]:
        """Return the last reading at or before a stamp and the first one at or after it; None where there is none."""
        with self._lock:
            place = bisect.bisect_left(self._stamps, stamp_ns)
            after = self._readings[place] if place < len(self._readings) else None
            if after is not None and after.stamp_ns == stamp_ns:
                return after, after
            return (self._readings[place - 1] if place else None), after

    def nearest(self, stamp_ns: int) -> Aged[T] | None:
        """Return the reading nearest in time, the earlier one of two equally near; None from an empty buffer."""
        found = [reading for reading in self.neighbours(stamp_ns) if reading is not None]
        if not found:
            return None
        best = min(found, key=lambda reading: abs(reading.stamp_ns - stamp_ns))
        return Aged(best, abs(best.stamp_ns - stamp_ns) / 1e9)

    def between(self, stamp_ns: int, mix: Callable[[T, T, float], T], max_gap: float) -> Aged[T] | None:
        """Return the reading at a stamp, interpolated between neighbours at most `max_gap` seconds apart.

        mix(a, b, share): the reading at `share` (0 to 1) of the time from a to b. Across a larger gap, and before the
        first and after the last reading, it is the nearest reading.
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
