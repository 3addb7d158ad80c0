"""The peak rate of running nodes: short bursts of the bag's images at one rate after the other."""

from __future__ import annotations

import itertools
import struct
import time

import numpy as np
from tqdm import tqdm

from replay_ros.bags.reader import RawMessage
from replay_ros.live.player import LivePlayer
from replay_ros.result.peak_rate import PeakRate, PeakSearch, Trial, find_peak

WARM_UP = 3  # images, one when the last is answered
BURST = 40  # images: one of them is 2.5 %
QUIET_S = 2.0  # without an answer: the rest was dropped
GAP_NS = 1_000_000_000  # of simulated time between bursts


def find_peak_rate(player: LivePlayer, search: PeakSearch) -> PeakRate:
    """Search the highest rate at which the nodes that `player` plays to answer all but `search.max_loss` images.

    The images of the bag, with camera_info, go round with new stamps, spaced as at the rate; sensors are silent. An
    image is lost when any node leaves it unanswered. Writes nothing to the output bag.
    """
    bursts = _Bursts(player)
    with player.not_recording():
        median = bursts.warm_up()
        seconds = max(search.budget_s, BURST * median / 0.8 + QUIET_S)  # one burst there must be
        print(f"searching the peak rate for about {seconds:.0f} s at most")
        with tqdm(unit="trial", desc="peak rate", disable=None) as progress:

            def measure(rate: float) -> Trial:
                trial = bursts.send(rate)
                progress.update()
                return trial

            return find_peak(measure, 0.8 / median, search, lambda rate: BURST / rate + QUIET_S)


class _Bursts:
    """Sends the images of a bag round and round; simulated time only moves on."""

    def __init__(self, player: LivePlayer):
        bag, topics = player.bag, player.topics
        self._player = player
        self._images = list(itertools.islice(bag.raw_messages([topics.image]), BURST))
        info = next(bag.raw_messages([topics.camera_info]), None) if topics.camera_info else None
        self._info: RawMessage | None = info
        self._now_ns = bag.end_ns

    def warm_up(self) -> float:
        """Return the median seconds until an image is answered by all nodes, when nothing else is to be done."""
        seconds = []
        for raw in self._images[:1] * WARM_UP:
            self._now_ns += GAP_NS
            start = time.monotonic()
            self._send(raw)
            self._player.wait(self._all_answered, 60.0)
            seconds.append(time.monotonic() - start)
        return max(float(np.median(seconds)), 1e-3)

    def send(self, rate: float) -> Trial:
        """Send a burst at a rate and count what stays unanswered."""
        self._player.frames.clear()
        self._now_ns += GAP_NS
        start = time.monotonic()
        for number in range(BURST):
            self._player.wait(lambda: False, start + number / rate - time.monotonic())
            self._now_ns += round(1e9 / rate)
            self._send(self._images[number % len(self._images)])
        answered = -1
        while answered < (answered := self._answers()) and not self._all_answered():
            self._player.wait(self._all_answered, max(QUIET_S, 2 / rate))
        lost = sum(not self._player.is_answered(stamp) for stamp in self._player.frames)
        return Trial(rate, BURST, lost, time.monotonic() - start)

    def _send(self, raw: RawMessage) -> None:
        self._player.sent(self._now_ns)
        for each in (self._info, raw):
            if each is not None:
                self._player.publish(each.topic, restamped(each.data, self._now_ns), self._now_ns)

    def _answers(self) -> int:
        return sum(len(frame.seconds) for frame in self._player.frames.values())

    def _all_answered(self) -> bool:
        return all(map(self._player.is_answered, self._player.frames))


def restamped(data: bytes, stamp_ns: int) -> bytes:
    """Return a serialised message that begins with a std_msgs/Header with another stamp.

    CDR: four bytes, of which the second says whether it is little-endian, then int32 sec and uint32 nanosec.
    """
    order = "<" if data[1] & 1 else ">"
    return data[:4] + struct.pack(f"{order}iI", *divmod(stamp_ns, 10**9)) + data[12:]
