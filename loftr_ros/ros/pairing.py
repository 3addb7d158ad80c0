"""Pairs by message_filters where it is installed, else by our own code; see perception_common/cameras/pairing.py."""

from __future__ import annotations

from types import SimpleNamespace

from builtin_interfaces.msg import Time

from perception_common.cameras.pairing import QUEUE, MakePairing, OnSet, StampPairing
from perception_common.stamps import stamp_ns

try:
    import message_filters
except ImportError:  # optional: ours behaves the same
    message_filters = None


class MessageFiltersPairing:
    """TimeSynchronizer (slop_ns 0) or ApproximateTimeSynchronizer of message_filters, fed with stamps."""

    def __init__(self, streams: int, slop_ns: int, on_set: OnSet, queue: int = QUEUE):
        self._inputs = [message_filters.SimpleFilter() for _ in range(streams)]
        if slop_ns > 0:
            self._synchronizer = message_filters.ApproximateTimeSynchronizer(self._inputs, queue, slop_ns / 1e9)
        else:
            self._synchronizer = message_filters.TimeSynchronizer(self._inputs, queue)
        self._synchronizer.registerCallback(lambda *found: on_set(tuple(stamp_ns(each.header) for each in found)))

    def add(self, stream: int, stamp_ns: int) -> None:
        """Take the stamp of a message of a stream."""
        stamp = Time(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
        self._inputs[stream].signalMessage(SimpleNamespace(header=SimpleNamespace(stamp=stamp)))


def installed_pairing() -> MakePairing:
    """Return the implementation to use: that of message_filters, if it is installed."""
    return StampPairing if message_filters is None else MessageFiltersPairing
