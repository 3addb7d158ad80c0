"""Images that were lost before a node received them, told from stamps, sequence numbers and events of the middleware.

Three witnesses, of which the largest count is taken, since they see the same losses:

- Gaps in the stamps: a camera at a constant rate leaves a gap of a whole number of periods where an image is missing.
  This needs no help of the middleware, and it also sees what a relay lost, or what the camera itself skipped.
- Gaps in the sequence numbers that the publisher gave, where the middleware passes them on: exact, also for images that
  a newer one replaced in a queue of depth 1. They also tell several publishers apart, so that the stamps of each are
  looked at alone.
- The middleware's count of lost messages: exact for losses on the way, also while nothing at all arrives.

Stamps must not raise false alarms. Nothing is counted while the intervals are no multiples of one period (a variable
frame rate), for a gap of more than PAUSE periods (a pause, a trigger), and for RATE_CHANGE equal intervals in a row
(another rate). A camera that itself skips a few of its images, up to 5 % at random, is counted and raises no alarm.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from perception_common.timing.sequences import MAX_PUBLISHERS, PublisherSequences

WINDOW = 40  # intervals from which the period is estimated; 1.3 s at 30 Hz
ENOUGH = 15  # intervals for the first estimate; a variable rate passes for a constant one in 1 of 600 cases (0.65**15)
JITTER = 0.3  # of a period: two standard deviations of an interval whose two stamps are each off by 10 %
REFINEMENT = 0.1  # of the first estimate; the mean of a few intervals with that jitter is not off by more
IRREGULAR = 0.05  # share of intervals that may be off by more
PAUSE = 10  # periods
RATE_CHANGE = 4  # equal intervals in a row; while half of the images are lost at random, 1 in 250 begins such a run
ALARM_SHARE = 0.15  # of the images of a window; transport without shared memory loses 30 to 100 %
ALARM_SECONDS = 10.0  # a window is at least so long
ALARM_IMAGES = 100  # and holds so many images, as 10 s do at 10 Hz: with fewer, chance decides
LONGEST_WINDOW = 600.0  # seconds; bounds the memory at less than one image in 6 s
ALARM_GAPS = 5  # so that a pause is no alarm
MIXED_RETURNS = 5  # in a window; a publisher that takes the place of another one causes one at most


class StampGaps:
    """Counts the images that are missing between stamps. lost: how many. gaps: in how many places."""

    def __init__(self) -> None:
        self.lost = 0
        self.gaps = 0
        self._last_ns: int | None = None
        self._start_anew()

    def add(self, stamp_ns: int) -> None:
        """Take the stamp of the next image. One that repeats is left out; one that jumps back starts anew."""
        interval = 0 if self._last_ns is None else stamp_ns - self._last_ns
        self._last_ns = stamp_ns
        if interval < 0:
            self._start_anew()
        if interval <= 0:
            return
        self._intervals.append(interval)
        self._uncounted.append(interval)
        if len(self._intervals) < ENOUGH:
            return
        period = steady_period(self._intervals)
        if period is not None:
            for each in self._uncounted:
                if not self._count(round(each / period)):
                    self._start_anew()
                    return
        self._uncounted.clear()

    def forget(self) -> None:
        """Take the next stamp as the first one: another publisher sends it. What was counted stays."""
        self._last_ns = None
        self._start_anew()

    def _start_anew(self) -> None:
        self._intervals: deque[int] = deque(maxlen=WINDOW)
        self._uncounted: list[int] = []
        self._run = (1, 0)  # periods of the last interval, and how many intervals in a row had as many

    def _count(self, periods: int) -> bool:
        """Count the run of equal intervals that ended before this one; False: this run is another rate."""
        before, length = self._run
        if periods == before:
            self._run = (before, length + 1)
            return before == 1 or length + 1 < RATE_CHANGE
        if 1 < before <= PAUSE:
            self.lost += length * (before - 1)
            self.gaps += length
        self._run = (periods, 1)
        return True


def steady_period(intervals: Sequence[int]) -> float | None:
    """Return the period of which the intervals, nanoseconds, are multiples; None for a variable rate."""
    ordered = sorted(intervals)
    short = ordered[len(ordered) // 10]  # a tenth, so that most images may be missing
    about = median(each for each in ordered if abs(each - short) <= 0.5 * short)
    used = [each for each in ordered if each < (PAUSE + 0.5) * about]
    period = sum(used) / sum(max(round(each / about), 1) for each in used)  # the jitter of few short ones averages out
    periods = [each / period for each in used]
    irregular = sum(abs(each - max(round(each), 1)) > JITTER for each in periods)
    fits = abs(period - about) <= REFINEMENT * about and irregular <= IRREGULAR * len(periods)
    return period if fits and len(periods) >= ENOUGH else None


class _Counts(NamedTuple):
    """Images received, gaps in their stamps, images lost in the middleware, and returns of another publisher."""

    received: int
    gaps: int
    lost: int
    returns: int


class LostImages:
    """The images that were lost before a node, and whether they are worth a warning."""

    def __init__(self) -> None:
        self._stamps = tuple(StampGaps() for _ in range(MAX_PUBLISHERS))  # of each publisher
        self._sequences = PublisherSequences()
        self._events = 0
        self._received = 0
        self._history: list[tuple[float, _Counts]] = []  # by time
        self._alarm = self._is_mixed = False

    @property
    def total(self) -> int:
        """Number of images that were lost before the node, wherever that was."""
        return max(sum(gaps.lost for gaps in self._stamps), self.in_middleware)

    @property
    def in_middleware(self) -> int:
        """Number of images that their publisher sent to this node and that did not arrive."""
        return max(self._sequences.lost, self._events)

    @property
    def is_mixed(self) -> bool:
        """Whether several publishers sent images by turns, as of the last call of `is_alarming`."""
        return self._is_mixed

    def add_arrival(self, stamp_ns: int, sequence: int | None = None) -> None:
        """Count an image that arrived. sequence: number that its publisher gave it, None where it is not known."""
        self._received += 1
        place = 0
        if sequence is not None:
            place = self._sequences.add(sequence)
            for begun in self._sequences.begun:
                self._stamps[begun].forget()
        self._stamps[place].add(stamp_ns)

    def join(self, publishers: int) -> None:
        """Take note of new publishers, whose sequence numbers begin anywhere."""
        self._sequences.join(publishers)

    def add_event(self, total: int) -> None:
        """Take the middleware's count of the lost messages since the subscription began."""
        self._events = max(self._events, total)

    def is_alarming(self, now: float) -> bool:
        """Return whether so many of the last images were lost that the user must know; call it once a second.

        now: seconds of one monotonic clock. An alarm lasts until no image of the window was lost, see `_begin`.
        """
        gaps_so_far = sum(each.gaps for each in self._stamps)
        counts = _Counts(self._received, gaps_so_far, self.in_middleware, self._sequences.returns)
        if not self._history:
            self._history.append((now, _Counts(0, 0, 0, 0)))
        self._history.append((now, counts))
        begin = self._begin(now)
        old = sum(time <= begin for time, _ in self._history)
        del self._history[: max(0, old - 1)]
        received, gaps, lost, returns = (b - a for a, b in zip(self._history[0][1], counts, strict=True))
        self._is_mixed = returns >= MIXED_RETURNS
        by_stamps = gaps >= max(ALARM_GAPS, ALARM_SHARE * received)
        in_middleware = lost >= max(ALARM_GAPS, ALARM_SHARE * (received + lost))
        if by_stamps or in_middleware:
            self._alarm = True
        elif gaps == lost == 0:
            self._alarm = False
        return self._alarm

    def _begin(self, now: float) -> float:
        """Return when the window begins: before its ALARM_IMAGES images, or ALARM_SECONDS ago if that is earlier.

        When nothing has come for as long as such a window lasts, it begins with the last image.
        """
        newest = next(time for time, counts in self._history if counts.received == self._received)
        before = [time for time, counts in self._history if counts.received <= self._received - ALARM_IMAGES]
        begin = min(before[-1] if before else self._history[0][0], now - ALARM_SECONDS)
        if now - newest > max(ALARM_SECONDS, newest - begin):
            begin = newest
        return max(begin, now - LONGEST_WINDOW)
