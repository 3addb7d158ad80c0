"""Pairs by message_filters, where it is installed, beside ours; and what the adapter asks of it."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.ros import pairing
from perception_common.cameras.pairing import StampPairing

MS = 10**6
arrivals = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60).map(lambda t: t * MS)), max_size=40)


@given(st.integers(2, 3), st.sampled_from([0, 5, 20]), arrivals, st.integers(1, 5))
@settings(deadline=None, max_examples=200)
def test_message_filters_finds_the_same_sets(streams, slop_ms, given_arrivals, queue):
    pytest.importorskip("message_filters")
    theirs, ours = [], []
    for make, found in ((pairing.MessageFiltersPairing, theirs), (StampPairing, ours)):
        each = make(streams, slop_ms * MS, found.append, queue)
        for stream, stamp in given_arrivals:
            if stream < streams:
                each.add(stream, stamp)
    assert theirs == ours


class StandIn:
    """The interface of message_filters that the adapter uses: inputs that signal, and synchronizers that call back."""

    class SimpleFilter:
        def __init__(self):
            self.callbacks = []

        def registerCallback(self, callback, *arguments):  # noqa: N802
            self.callbacks.append((callback, arguments))

        def signalMessage(self, *messages):  # noqa: N802
            for callback, arguments in self.callbacks:
                callback(*messages, *arguments)

    class TimeSynchronizer(SimpleFilter):
        slop = None

        def __init__(self, inputs, queue_size):
            super().__init__()
            self.queue_size, self.latest = queue_size, {}
            for number, each in enumerate(inputs):
                each.registerCallback(self.add, number, len(inputs))

        def add(self, message, number, count):
            self.latest[number] = message
            if len(self.latest) == count:
                self.signalMessage(*(self.latest[k] for k in range(count)))

    class ApproximateTimeSynchronizer(TimeSynchronizer):
        def __init__(self, inputs, queue_size, slop):
            super().__init__(inputs, queue_size)
            self.slop = slop


@pytest.mark.parametrize(("slop_ns", "slop"), [(0, None), (20 * MS, 0.02)])
def test_the_adapter_feeds_stamps_and_returns_those_of_a_set(slop_ns, slop, monkeypatch):
    monkeypatch.setattr(pairing, "message_filters", StandIn)
    found = []
    each = pairing.MessageFiltersPairing(2, slop_ns, found.append, queue=7)
    assert (each._synchronizer.queue_size, each._synchronizer.slop) == (7, slop)
    each.add(0, 3_000_000_005)
    each.add(1, 3_000_000_005)
    assert found == [(3_000_000_005, 3_000_000_005)]


def test_message_filters_is_used_where_it_is_installed(monkeypatch):
    monkeypatch.setattr(pairing, "message_filters", None)
    assert pairing.installed_pairing() is StampPairing
    monkeypatch.setattr(pairing, "message_filters", SimpleNamespace())
    assert pairing.installed_pairing() is pairing.MessageFiltersPairing
