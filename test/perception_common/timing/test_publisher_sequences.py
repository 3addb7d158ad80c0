"""Sequence numbers of one publisher and of several, with known losses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception_common.timing.sequences import MAX_PUBLISHERS, PublisherSequences

seeds = st.integers(0, 2**32 - 1)
some = settings(deadline=None, max_examples=60, derandomize=True)


def lost_of(numbers):
    sequences = PublisherSequences()
    for number in numbers:
        sequences.add(int(number))
    return sequences.lost


@given(seeds, st.floats(0.05, 0.9))
@some
def test_losses_of_one_publisher_are_exact_up_to_the_last_three(seed, share):
    kept = np.flatnonzero(np.random.default_rng(seed).random(200) >= share) + 1
    missing = np.diff(kept) - 1
    assert lost_of(kept) == missing[: max(0, len(missing) - 3)].sum()


@given(seeds, st.integers(2, MAX_PUBLISHERS))
@some
def test_complete_publishers_of_any_rates_and_starts_lose_nothing(seed, count):
    rng = np.random.default_rng(seed)
    times, numbers = [], []
    for first in rng.integers(1, 3000, count):
        rate, start = rng.uniform(1, 60), rng.uniform(0, 10)
        time = np.arange(start, 30, 1 / rate)
        times.append(time)
        numbers.append(first + np.arange(len(time)))
    assert lost_of(np.concatenate(numbers)[np.argsort(np.concatenate(times), kind="stable")]) == 0


@given(seeds, st.floats(0.02, 0.3))
@some
def test_losses_of_two_publishers_are_told_apart(seed, share):
    """Exact while the numbers of the two lie apart by more than a gap."""
    rng = np.random.default_rng(seed)
    kept = [np.flatnonzero(rng.random(300) >= share) for _ in range(2)]
    times = np.concatenate([kept[0] / 30, kept[1] / 30 + 0.01])
    numbers = np.concatenate([kept[0] + 1, kept[1] + 1001])
    expected = [np.diff(each) - 1 for each in kept]
    found = lost_of(numbers[np.argsort(times)])
    assert sum(missing[:-3].sum() for missing in expected) == found


def test_a_publisher_that_restarts_loses_nothing():
    assert lost_of((*range(500, 550), *range(1, 50))) == 0


def test_a_gap_that_a_late_publisher_fills_is_none():
    """The second publisher is ahead by thousands, and sends ten images before the first one goes on."""
    sequences = PublisherSequences()
    for number in (*range(1, 30), *range(5000, 5010)):
        sequences.add(number)
    assert sequences.lost == 4970
    sequences.add(30)
    assert sequences.lost == 0


@pytest.mark.parametrize("late", [0, 2])
def test_what_a_publisher_sent_before_it_joined_was_not_lost(late):
    """A camera that restarts after five images is found at its 16th; its join is known 0 or 2 images later."""
    sequences = PublisherSequences()
    sequences.join(1)
    for number in range(1, 6):
        sequences.add(number)
    for position, number in enumerate([*range(16, 40), *range(41, 50)]):
        if position == late:
            sequences.join(1)
        sequences.add(number)
    assert sequences.lost == (
        1 if late == 0 else 0
    )  # that of 40; the one gap that is forgiven is another where it is late


def test_more_publishers_than_are_followed_and_repeated_numbers_cost_no_memory():
    sequences = PublisherSequences()
    assert {sequences.add(number) for number in (7, 7, 7, 7, 7, *range(1000, 0, -1))} == set(range(MAX_PUBLISHERS))
    assert sequences.lost == 0
