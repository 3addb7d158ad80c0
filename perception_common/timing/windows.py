"""Sliding windows of latencies and event rates, for diagnostics. One thread may add while another reads."""

from __future__ import annotations

from collections import deque

import numpy as np


class LatencyWindow:
    """The last `size` durations, in seconds."""

    def __init__(self, size: int = 200) -> None:
        self._seconds: deque[float] = deque(maxlen=size)

    def add(self, seconds: float) -> None:
        """Add a duration; a full window drops its oldest one."""
        self._seconds.append(seconds)

    @property
    def count(self) -> int:
        """Number of durations in the window."""
        return len(self._seconds)

    @property
    def p50(self) -> float:
        """The median in seconds; NaN for an empty window."""
        return self._percentile(50)

    @property
    def p95(self) -> float:
        """The 95th percentile in seconds; NaN for an empty window."""
        return self._percentile(95)

    @property
    def p99(self) -> float:
        """The 99th percentile in seconds; NaN for an empty window."""
        return self._percentile(99)

    def _percentile(self, q: float) -> float:
        seconds = list(self._seconds)
        return float(np.percentile(seconds, q)) if seconds else float("nan")


class RateWindow:
    """Events of the last `seconds`; the caller passes the time, from one monotonic clock."""

    def __init__(self, seconds: float = 5.0) -> None:
        self._seconds = seconds
        self._stamps: deque[float] = deque()

    def add(self, now: float) -> None:
        """Add an event at `now` (seconds)."""
        self._stamps.append(now)
        while self._stamps[0] <= now - self._seconds:
            self._stamps.popleft()

    def rate(self, now: float) -> float:
        """Return the events per second in the window that ends at `now`."""
        return sum(stamp > now - self._seconds for stamp in list(self._stamps)) / self._seconds
