"""Which camera_info or depth image belongs to an image: pairs by stamp.

`Pairing` is the seam between this and message_filters (loftr_ros/ros/pairing.py), which behaves the same.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

OnSet = Callable[[tuple[int, ...]], None]  # takes the stamps of a set, nanoseconds, one of each stream
QUEUE = 64  # stamps that wait in each stream: 2 s at 30 Hz


class Pairing(Protocol):
    """Finds sets of stamps, one of each stream. Thread-safe."""

    def add(self, stream: int, stamp_ns: int) -> None:
        """Take the stamp of a message of a stream, 0 to N - 1, in the order of arrival."""


class MakePairing(Protocol):
    """Makes a pairing of N streams. slop_ns: 0 for equal stamps; queue: stamps that wait in each stream."""

    def __call__(self, streams: int, slop_ns: int, on_set: OnSet, queue: int = QUEUE) -> Pairing:
        """Return the pairing, which calls `on_set` for each set."""


class StampPairing:
    """Pairs as TimeSynchronizer does (slop_ns 0), or as ApproximateTimeSynchronizer of message_filters.

    A stamp that arrives makes a set with the nearest waiting stamps of the other streams, if all stamps of the set lie
    within less than `slop_ns` of each other. Each stamp is used once. A full queue drops its oldest stamp.
    """

    def __init__(self, streams: int, slop_ns: int, on_set: OnSet, queue: int = QUEUE):
        self._slop_ns = max(slop_ns, 1)  # stamps are whole nanoseconds: less than 1 apart is equal
        self._on_set = on_set
        self._queue = queue
        self._waiting: list[dict[int, None]] = [{} for _ in range(streams)]  # in the order of arrival
        self._lock = threading.Lock()

    def add(self, stream: int, stamp_ns: int) -> None:
        """Take the stamp of a message of a stream."""
        with self._lock:
            own = self._waiting[stream]
            own[stamp_ns] = None
            if len(own) > self._queue:
                del own[min(own)]
            found = self._set_with(stream, stamp_ns) if stamp_ns in own else None
            if found is None:
                return
            for waiting, used in zip(self._waiting, found, strict=True):
                del waiting[used]
        self._on_set(found)

    def _set_with(self, stream: int, stamp_ns: int) -> tuple[int, ...] | None:
        near = [
            [stamp_ns]
            if other == stream
            else sorted((s for s in waiting if abs(s - stamp_ns) < self._slop_ns), key=lambda s: abs(s - stamp_ns))
            for other, waiting in enumerate(self._waiting)
        ]
        return next((each for each in itertools.product(*near) if max(each) - min(each) < self._slop_ns), None)


@dataclass(frozen=True)
class SyncSettings:
    """make: the implementation. slop: seconds between an image and what belongs to it; 0: equal stamps."""

    make: MakePairing = StampPairing
    slop: float = 0.0


class Partners:
    """Remembers the partner of each image among the messages of one other stream, for the last `size` images."""

    def __init__(self, settings: SyncSettings, size: int = 4 * QUEUE):
        self._settings = settings
        self._size = size
        self._last_image_ns = 0
        self._start_anew()

    def add_image(self, stamp_ns: int) -> None:
        """Take the stamp of an image. One that jumps back starts anew: a full queue would drop it as its oldest."""
        if stamp_ns < self._last_image_ns:
            self._start_anew()
        self._last_image_ns = stamp_ns
        self._pairing.add(0, stamp_ns)

    def add(self, stamp_ns: int) -> None:
        """Take the stamp of a message of the other stream."""
        self._pairing.add(1, stamp_ns)

    def of(self, image_ns: int) -> int:
        """Return the stamp of an image's partner, nanoseconds; the stamp of the image itself where it has none."""
        return self._stamps.get(image_ns, image_ns)

    def _start_anew(self) -> None:
        self._stamps: OrderedDict[int, int] = OrderedDict()  # of the partner, by the image's
        self._pairing = self._settings.make(2, round(self._settings.slop * 1e9), self._keep)

    def _keep(self, stamps: tuple[int, ...]) -> None:
        image, partner = stamps
        self._stamps[image] = partner
        while len(self._stamps) > self._size:
            self._stamps.popitem(last=False)
