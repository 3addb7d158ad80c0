"""Latencies and rates over the recent past, for diagnostics. One thread may add while another reads."""

from __future__ import annotations

from collections import deque

import numpy as np


class LatencyWindow:
    """The last `size` durations, in seconds."""

    def __init__(self, size: int = 200) -> None:
        self._seconds: deque[float] = deque(maxlen=size)

    def add(self, seconds: float) -> None:
        """Add a duration; the oldest one leaves when the window is full."""
        self._seconds.append(seconds)

    @property
    def count(self) -> int:
        """How many durations the window holds."""
        return len(self._seconds)

    @property
    def p50(self) -> float:
        """The median in seconds; NaN while there is none."""
        return self._percentile(50)

    @property
    def p95(self) -> float:
        """The 95th percentile in seconds; NaN while there is none."""
        return self._percentile(95)

    @property
    def p99(self) -> float:
        """The 99th percentile in seconds; NaN while there is none."""
        return self._percentile(99)

    def _percentile(self, q: float) -> float:
        seconds = list(self._seconds)
        return float(np.percentile(seconds, q)) if seconds else float("nan")


class RateWindow:
    """Events over the last `seconds`; the caller gives the time, from one monotonic clock."""

    def __init__(self, seconds: float = 5.0) -> None:
        self._seconds = seconds
        self._stamps: deque[float] = deque()

    def add(self, now: float) -> None:
        """Count an event at `now` (seconds)."""
        self._stamps.append(now)
        while self._stamps[0] <= now - self._seconds:
            self._stamps.popleft()

    def rate(self, now: float) -> float:
        """Return the events per second over the window that ends at `now`."""
        return sum(stamp > now - self._seconds for stamp in list(self._stamps)) / self._seconds
