"""Lost images told from stamps, sequence numbers and events, on synthetic arrivals with known losses."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception_common.timing.lost_images import LostImages, StampGaps, steady_period

seeds = st.integers(0, 2**32 - 1)
FLIGHTS = 100
periods = st.floats(0.005, 1.0)
some = settings(deadline=None, max_examples=40, derandomize=True)  # the bounds hold with a probability near 1


def watch(stamps, sequence=None):
    """Play arrivals at their stamps (seconds); returns the witness and whether it raised an alarm at any second."""
    lost, alarmed, second = LostImages(), False, stamps[0] + 1.0
    for k, stamp in enumerate(stamps):
        while stamp > second:
            alarmed |= lost.is_alarming(second)
            second += 1.0
        lost.add_arrival(round(stamp * 1e9), None if sequence is None else int(sequence[k]))
    return lost, alarmed | lost.is_alarming(second)


def jittered(rng, count, period, jitter=0.05):
    return 100 + period * (np.arange(count) + rng.normal(0, jitter, count))


# --- what must be noticed -------------------------------------------------------------------------------------------


def test_random_losses_are_counted_and_raise_an_alarm():
    """Chance can make a loss look like another rate, so that a few of the flights may be missed."""
    right = 0
    for seed in range(FLIGHTS):
        rng = np.random.default_rng(seed)
        kept = rng.random(300) >= rng.uniform(0.25, 0.6)
        lost, alarmed = watch(jittered(rng, 300, rng.uniform(0.005, 1.0))[kept])
        true = np.diff(np.flatnonzero(kept)).sum() - kept.sum() + 1  # between the first and the last received image
        right += alarmed and 0.75 * true <= lost.total <= 1.05 * true
    assert right >= 0.95 * FLIGHTS


@pytest.mark.parametrize("keep", [(1, 1, 0), (1, 0, 1, 1), (1, 1, 0, 0, 0), (1, 1, 0, 1, 0, 0, 0)])
def test_a_publisher_that_skips_images_is_noticed_within_forty(keep):
    kept = np.array(list(itertools.islice(itertools.cycle(keep), 40)), bool)
    lost, alarmed = watch(np.arange(40)[kept] / 30)
    assert alarmed
    last = np.flatnonzero(kept)[-1]
    assert 0 <= (~kept[:last]).sum() - lost.total <= 4  # the last gap waits for the next interval


@pytest.mark.parametrize("rate", [0.2, 1.0, 2.0, 10.0, 60.0])
def test_losses_that_begin_later_are_noticed_within_as_many_images_at_any_rate(rate):
    """Every fourth image is lost from the 100th on; a tenth of an hour of the slowest camera is 72 images."""
    kept = np.arange(400) % 4 > 0
    kept[:100] = True
    stamps = 100 + np.arange(400)[kept] / rate
    assert not watch(stamps[:100])[1]
    assert watch(stamps[: 100 + round(max(100, 11 * rate))])[1]


def test_an_alarm_of_a_slow_camera_ends_some_images_after_the_losses_and_when_it_is_silent():
    kept = np.arange(200) % 3 > 0
    lost = LostImages()
    for k in np.flatnonzero(kept):
        lost.add_arrival(int(k) * 10**9)
        last = lost.is_alarming(float(k))
    assert last
    silent = [lost.is_alarming(200.0 + second) for second in range(600)]
    assert silent[:10] == [True] * 10
    assert not silent[-1]


def test_losses_end_the_alarm_when_they_end():
    kept = np.ones(1200, bool)
    kept[:300:3] = False
    lost = LostImages()
    states = []
    for k in range(1200):
        if kept[k]:
            lost.add_arrival(k * 10**9 // 30)
        if k % 30 == 29:
            states.append(lost.is_alarming(k / 30))
    assert states[2]
    assert states.index(False, 2) in range(19, 23)  # ten seconds after the last loss
    assert not any(states[23:])


# --- what must raise no alarm ---------------------------------------------------------------------------------------


@given(seeds, periods, st.floats(0.0, 0.1))
@some
def test_a_steady_camera_with_jittering_stamps_is_complete(seed, period, jitter):
    lost, alarmed = watch(jittered(np.random.default_rng(seed), 400, period, jitter))
    assert not alarmed
    assert lost.total <= 4


def test_a_variable_frame_rate_raises_no_alarm():
    """Chance can make intervals look like multiples of one, so that a few of the flights may be taken for losses."""
    alarms = 0
    for seed in range(FLIGHTS):
        rng = np.random.default_rng(seed)
        period, slowest = rng.uniform(0.005, 1.0), rng.uniform(1.2, 6.0)
        alarms += watch(100 + np.cumsum(period * rng.uniform(1, slowest, 400)))[1]
        by_exposure = np.exp(np.log(slowest) * np.sin(np.arange(400) / 40))
        lost, alarmed = watch(100 + np.cumsum(period * by_exposure))
        assert not alarmed
        assert lost.total <= 40
    assert alarms <= 0.05 * FLIGHTS


@given(seeds, periods, st.lists(st.sampled_from([1, 1.5, 2, 3, 4]), min_size=2, max_size=6))
@some
def test_changes_of_the_rate_raise_no_alarm(seed, period, factors):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(30, 80, len(factors))
    intervals = period * np.repeat(factors, lengths)
    lost, alarmed = watch(100 + np.cumsum(intervals) + period * rng.normal(0, 0.02, len(intervals)))
    assert not alarmed
    assert lost.total <= 10 * len(factors)


@given(seeds, periods, st.floats(0.0, 0.05))
@some
def test_pauses_raise_no_alarm(seed, period, share):
    rng = np.random.default_rng(seed)
    intervals = np.full(400, period)
    pauses = rng.random(400) < share
    intervals[pauses] += period * rng.uniform(1, 300, pauses.sum())
    _, alarmed = watch(100 + np.cumsum(intervals))
    assert not alarmed


@given(seeds, periods, st.floats(0.0, 0.04))
@some
def test_a_camera_that_skips_a_few_images_itself_is_counted_without_an_alarm(seed, period, share):
    rng = np.random.default_rng(seed)
    kept = rng.random(400) >= share
    lost, alarmed = watch(jittered(rng, 400, period, 0.02)[kept])
    assert not alarmed
    assert lost.total <= (~kept).sum() + 2


@given(seeds)
@some
def test_bursts_of_a_trigger_raise_no_alarm(seed):
    rng = np.random.default_rng(seed)
    lost, alarmed = watch(100 + np.cumsum(rng.choice([0.05, 0.05, 0.05, 2.0], 300)))
    assert (lost.total, alarmed) == (0, False)


def test_repeated_zero_and_backward_stamps_count_nothing():
    for stamps in ([0] * 60, [1, 1, 2, 2] * 15, list(range(30)) * 3, [5, 4, 3, 2, 1] * 12):
        gaps = StampGaps()
        for stamp in stamps:
            gaps.add(stamp * 10**9)
        assert gaps.lost == 0


def test_the_period_is_found_among_its_multiples_and_not_among_other_intervals():
    assert steady_period([10, 20, 30] * 6) == 10
    assert steady_period([10] * 14) is None  # too few
    assert steady_period([10, 16] * 10) is None


# --- the middleware -------------------------------------------------------------------------------------------------


def test_the_same_losses_told_by_three_witnesses_count_once():
    kept = np.arange(90) % 3 > 0
    lost, alarmed = watch(np.arange(90)[kept] / 30, sequence=np.flatnonzero(kept) + 1)
    by_numbers = lost.in_middleware
    lost.add_event(by_numbers)
    assert alarmed
    assert 27 <= by_numbers == lost.in_middleware <= lost.total <= 30


def test_an_alarm_needs_no_image_when_the_middleware_tells():
    lost = LostImages()
    lost.add_event(4)
    assert not lost.is_alarming(1.0)
    lost.add_event(30)
    assert lost.is_alarming(2.0)
    assert (lost.total, lost.in_middleware) == (30, 30)


def test_variable_stamps_with_a_complete_sequence_are_complete():
    rng = np.random.default_rng(0)
    stamps = 100 + np.cumsum(rng.uniform(0.03, 0.2, 300))
    lost, alarmed = watch(stamps, sequence=np.arange(1, 301))
    assert (lost.total, alarmed) == (0, False)


# --- several publishers on one topic --------------------------------------------------------------------------------


def play_two(kept0, kept1, rates=(30, 5)):
    """Play two cameras at these rates; kept: (N,) bool, which of their images arrive."""
    arrivals = []
    for kept, rate, first, late in ((kept0, rates[0], 1, 0.0), (kept1, rates[1], 40, 0.3)):
        number = np.flatnonzero(kept)
        arrivals += zip(100 + (number + late) / rate, (first + number).tolist(), strict=True)
    stamps, sequence = zip(*sorted(arrivals), strict=True)
    lost, alarms, mixed, second = LostImages(), 0, 0, 101.0
    for stamp, number in zip(stamps, sequence, strict=True):
        while stamp > second:
            alarms += lost.is_alarming(second)
            mixed += lost.is_mixed
            second += 1.0
        lost.add_arrival(round(stamp * 1e9), number)
    return lost, alarms, mixed


@pytest.mark.parametrize("rates", [(30, 30), (30, 5), (5, 30), (30, 1)])
def test_two_complete_cameras_on_one_topic_lose_nothing_and_are_told_apart(rates):
    kept = [np.ones(20 * rate, bool) for rate in rates]
    lost, alarms, mixed = play_two(*kept, rates=rates)
    assert (lost.in_middleware, alarms) == (0, 0)
    assert lost.total <= 8  # where the numbers of one overtake those of the other, their stamps are mixed once
    assert mixed >= 15


def test_losses_of_two_cameras_on_one_topic_are_counted():
    kept = [np.ones(600, bool), np.ones(600, bool)]
    kept[0][10::3] = False
    lost, alarms, mixed = play_two(*kept, rates=(30, 30))
    assert abs(lost.total - (~kept[0]).sum()) <= 4
    assert min(alarms, mixed) >= 15


def test_a_camera_that_starts_over_is_one_camera():
    lost = LostImages()
    for start in range(8):
        for k in range(30):
            lost.add_arrival((start * 30 + k) * 10**9 // 30, sequence=k + 1)
        lost.is_alarming(start + 1.0)
        assert not lost.is_mixed
    assert lost.total == 0
