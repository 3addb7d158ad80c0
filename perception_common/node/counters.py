"""Counts, rates and latencies of the images that a node handled since it was activated."""

from __future__ import annotations

from perception_common.timing.lost_images import LostImages
from perception_common.timing.windows import LatencyWindow, RateWindow

_RATE_SECONDS = 5.0  # window of the published rates


class FrameCounters:
    """What happened to the images since activation. `now` is always in seconds of one monotonic clock.

    The executor thread adds arrivals and reads everything, the worker thread adds the rest.
    """

    def __init__(self, now: float) -> None:
        self.received = 0
        self.processed = 0
        self.refused = 0
        self.stamp_jumps = 0
        self.last_refusal = ""
        self.last_arrival = now
        self.input_rate = RateWindow(_RATE_SECONDS)
        self.output_rate = RateWindow(_RATE_SECONDS)
        self.stages: dict[str, LatencyWindow] = {}
        self.lost = LostImages()
        self._last_stamp_ns: int | None = None

    def add_arrival(self, stamp_ns: int, now: float, sequence: int | None = None) -> int:
        """Count an image; return by how many nanoseconds its stamp is older than the previous one's, or 0.

        sequence: number that the publisher gave it, where the middleware tells.
        """
        self.received += 1
        self.lost.add_arrival(stamp_ns, sequence)
        self.last_arrival = now
        self.input_rate.add(now)
        jump = 0 if self._last_stamp_ns is None else max(0, self._last_stamp_ns - stamp_ns)
        self.stamp_jumps += jump > 0
        self._last_stamp_ns = stamp_ns
        return jump

    def add_processed(self, now: float) -> None:
        """Count an image that was processed."""
        self.processed += 1
        self.output_rate.add(now)

    def add_refusal(self, reason: str) -> None:
        """Count an image that was skipped because it could not be decoded or processed."""
        self.refused += 1
        self.last_refusal = reason

    def add_stage(self, name: str, seconds: float) -> None:
        """Record the duration of a stage."""
        self.stages.setdefault(name, LatencyWindow()).add(seconds)
