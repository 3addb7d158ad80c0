"""The peak rate of running nodes: bursts of the bag's images at one rate after the other."""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from perception_common.errors import InputError
from perception_common.images.conversion import to_rgb
from replay_ros.bags.reader import Bag, RawMessage
from replay_ros.bags.topic_choice import first_calibration
from replay_ros.live.player import LivePlayer
from replay_ros.result.peak_rate import PeakRate, PeakSearch, Trial, find_peak

WARM_UP = 3  # images, each sent when the last one is answered
BURST = 40  # images: one of them is 2.5 %
QUIET_S = 2.0  # seconds without an answer after which the rest counts as dropped
FIRST_LOAD = 0.8  # of the rate at which the nodes are always busy: the first rate tried
GAP_NS = 1_000_000_000  # simulated time between bursts


def find_peak_rate(player: LivePlayer, search: PeakSearch) -> PeakRate:
    """Search the highest rate at which the nodes that `player` plays to answer all but `search.max_loss` images.

    The images of the bag are sent over and over with camera_info and new stamps, spaced as at the rate; sensors are
    silent. An image is lost when any node leaves it unanswered. Nothing is written to the output bag.
    """
    bursts = _Bursts(player)
    with player.not_recording():
        median = bursts.warm_up()
        seconds = max(search.budget_s, BURST * median / FIRST_LOAD + QUIET_S)  # at least one burst
        print(f"searching the peak rate for about {seconds:.0f} s at most")
        with tqdm(unit="trial", desc="peak rate", disable=None) as progress:

            def measure(rate: float) -> Trial:
                trial = bursts.send(rate)
                progress.update()
                return trial

            return find_peak(measure, FIRST_LOAD / median, search, lambda rate: BURST / rate + QUIET_S)


class _Bursts:
    """Sends the images of a bag over and over; simulated time only increases."""

    def __init__(self, player: LivePlayer):
        bag, topics = player.bag, player.topics
        self._player = player
        self._images = list(itertools.islice(_usable_images(bag, topics.image), BURST))
        self._info = first_calibration(bag, topics.camera_info)
        self._now_ns = bag.end_ns

    def warm_up(self) -> float:
        """Return the median seconds until all nodes answer an image, without other load."""
        seconds = []
        for raw in self._images[:1] * WARM_UP:
            self._now_ns += GAP_NS
            start = time.monotonic()
            self._send(raw)
            self._player.wait(self._all_answered, 60.0)
            seconds.append(time.monotonic() - start)
        return max(float(np.median(seconds)), 1e-3)

    def send(self, rate: float) -> Trial:
        """Send a burst at a rate and count the unanswered images."""
        self._player.start_log()
        self._now_ns += GAP_NS
        start = time.monotonic()
        for number in range(BURST):
            self._player.wait(lambda: False, start + number / rate - time.monotonic())
            self._now_ns += round(1e9 / rate)
            self._send(self._images[number % len(self._images)])
        answered = -1
        while answered < (answered := self._answers()) and not self._all_answered():
            self._player.wait(self._all_answered, max(QUIET_S, 2 / rate))
        return Trial(rate, BURST, self._player.log.unanswered(), time.monotonic() - start)

    def _send(self, raw: RawMessage) -> None:
        self._player.log.sent(self._now_ns, self._now_ns)
        for each in (self._info, raw):
            if each is not None:
                self._player.publish(each.topic, restamped(each.data, self._now_ns), self._now_ns)

    def _answers(self) -> int:
        return sum(len(frame.seconds) for frame in self._player.log.frames)

    def _all_answered(self) -> bool:
        return self._player.log.all_settled()


def _usable_images(bag: Bag, topic: str) -> Iterator[RawMessage]:
    """Iterate over the images that can be decoded: no node answers the others."""
    for raw in bag.raw_messages([topic]):
        try:
            to_rgb(bag.deserialize(raw))
        except InputError:
            continue
        yield raw


def restamped(data: bytes, stamp_ns: int) -> bytes:
    """Return a serialised message with another stamp; it must begin with a std_msgs/Header.

    CDR: four bytes, of which the second says whether it is little-endian, then int32 sec and uint32 nanosec.
    """
    order = "<" if data[1] & 1 else ">"
    return data[:4] + struct.pack(f"{order}iI", *divmod(stamp_ns, 10**9)) + data[12:]
