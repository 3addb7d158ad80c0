"""The buffer of stamped readings: order, bounds, nearest reading and interpolation."""

import threading
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception_common.sensors.buffer import StampedBuffer


@dataclass(frozen=True)
class Reading:
    stamp_ns: int
    value: float = 0.0


def mixed(a, b, share):
    return Reading(round(a.stamp_ns + share * (b.stamp_ns - a.stamp_ns)), a.value + share * (b.value - a.value))


stamps = st.lists(st.integers(0, 10**10), max_size=40)


@given(stamps, st.integers(1, 10), st.integers(-(10**9), 11 * 10**9))
def test_lookups_agree_with_a_linear_search_over_the_newest_readings(given_stamps, size, asked):
    buffer = StampedBuffer(size)
    kept = []
    for stamp in given_stamps:
        buffer.add(Reading(stamp))
        kept = sorted({*kept, stamp})[-size:]

    assert len(buffer) == len(kept)
    before, after = buffer.neighbours(asked)
    assert (before.stamp_ns if before else None) == max((s for s in kept if s <= asked), default=None)
    assert (after.stamp_ns if after else None) == min((s for s in kept if s >= asked), default=None)
    nearest = buffer.nearest(asked)
    assert (nearest is None) == (not kept)
    if nearest:
        assert nearest.age == pytest.approx(min(abs(s - asked) for s in kept) / 1e9)
        assert abs(nearest.value.stamp_ns - asked) / 1e9 == pytest.approx(nearest.age)


@given(st.floats(-100, 100), st.floats(-100, 100), st.integers(0, 10**9))
def test_a_straight_line_is_interpolated_exactly(start, slope, asked):
    buffer = StampedBuffer(10)
    for stamp in (0, 300_000_000, 10**9):
        buffer.add(Reading(stamp, start + slope * stamp / 1e9))
    found = buffer.between(asked, mixed, max_gap=1.0)
    assert found.value.value == pytest.approx(start + slope * asked / 1e9, abs=1e-9)
    assert found.value.stamp_ns == asked
    assert found.age == 0.0


def test_outside_the_readings_and_in_gaps_the_nearest_is_returned_with_its_age():
    buffer = StampedBuffer(10)
    assert buffer.between(0, mixed, 1.0) is None
    for stamp, value in ((10**9, 1.0), (4 * 10**9, 4.0)):
        buffer.add(Reading(stamp, value))
    for asked, value, age in ((0, 1.0, 1.0), (2 * 10**9, 1.0, 1.0), (3 * 10**9, 4.0, 1.0), (6 * 10**9, 4.0, 2.0)):
        found = buffer.between(asked, mixed, max_gap=1.0)
        assert (found.value.value, found.age) == (value, age)
    assert buffer.between(2 * 10**9, mixed, max_gap=3.0).value.value == pytest.approx(2.0)


def test_a_reading_of_the_same_stamp_replaces_and_clear_drops_all():
    buffer = StampedBuffer(2)
    buffer.add(Reading(1, 1.0))
    buffer.add(Reading(1, 2.0))
    assert len(buffer) == 1
    assert buffer.nearest(1).value.value == 2.0
    buffer.clear()
    assert buffer.nearest(1) is None
    with pytest.raises(ValueError, match="at least one"):
        StampedBuffer(0)


def test_a_restart_of_the_clock_drops_the_old_readings():
    buffer = StampedBuffer(3)
    for stamp in (50, 51, 52):
        buffer.add(Reading(stamp * 10**9, float(stamp)))
    buffer.add(Reading(49 * 10**9, 49.0))  # late
    assert len(buffer) == 3
    buffer.add(Reading(2 * 10**9, 2.0))
    assert len(buffer) == 1
    assert buffer.nearest(60 * 10**9).value.value == 2.0


def test_threads_can_add_and_read_concurrently():
    buffer, wrong = StampedBuffer(50), []

    def add(first):
        for stamp in range(first, 4000, 4):
            buffer.add(Reading(stamp, float(stamp)))

    def ask():
        for stamp in range(4000):
            found = buffer.between(stamp, mixed, 1.0)
            if found and found.age == 0.0 and abs(found.value.value - stamp) > 1e-6:
                wrong.append(stamp)

    threads = [threading.Thread(target=add, args=(k,)) for k in range(4)] + [threading.Thread(target=ask)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(buffer) == 50
    assert buffer.nearest(10**6).value.stamp_ns == 3999
