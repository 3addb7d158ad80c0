"""The store keeps to its bytes, in the right order; recovery tries different guesses."""

import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.keyframes.store import KeyframeStore, Place, recovery_candidates


@dataclass(frozen=True)
class Block:
    nbytes: int


def filled(sizes, limit, pinned=1):
    store = KeyframeStore(limit, pinned)
    gone = [store.add(number, Block(size)) for number, size in enumerate(sizes)]
    return store, [number for numbers in gone for number in numbers]


def test_the_one_used_longest_ago_leaves_first():
    store, _ = filled([10, 10, 10], limit=30)
    assert store.get(0) == Block(10)
    assert store.add(3, Block(15)) == {1: Block(10), 2: Block(10)}
    assert store.ids == (0, 3)
    assert store.nbytes == 25
    assert store.get(1) is None


def test_looking_is_no_use():
    store, _ = filled([10, 10, 10], limit=30)
    assert 0 in store
    assert len(store.newest(3)) == 3
    assert store.add(3, Block(10)) == {0: Block(10)}


def test_the_newest_stay_whatever_they_take():
    store, gone = filled([10, 50, 60, 70], limit=20, pinned=2)
    assert store.ids == (2, 3)
    assert gone == [0, 1]
    assert store.nbytes == 130
    assert store.newest(1) == (Block(70),)
    assert store.newest(9) == (Block(60), Block(70))
    assert store.newest(0) == ()


def test_limits_can_change():
    store, _ = filled([10, 10, 10, 10], limit=40, pinned=1)
    assert tuple(store.resize(20, 3)) == (0,)
    assert tuple(store.resize(20, 1)) == (1,)
    store.clear()
    assert (len(store), store.nbytes, store.ids) == (0, 0, ())


def test_what_makes_no_sense_is_refused():
    store, _ = filled([10], limit=40)
    with pytest.raises(ValueError, match="already"):
        store.add(0, Block(1))
    with pytest.raises(ValueError, match="pinned"):
        store.resize(10, 0)
    with pytest.raises(ValueError, match="negative"):
        KeyframeStore(-1)


actions = st.lists(
    st.one_of(st.tuples(st.just("add"), st.integers(0, 40)), st.tuples(st.just("get"), st.integers(0, 30))), max_size=40
)


@given(actions, st.integers(0, 100), st.integers(1, 4))
@settings(deadline=None)
def test_the_store_does_what_a_list_by_last_use_does(actions, limit, pinned):
    store = KeyframeStore(limit, pinned)
    model: list[tuple[int, int]] = []  # id, size; used longest ago first
    count = 0
    for action, value in actions:
        if action == "add":
            gone = store.add(count, Block(value))
            model.append((count, value))
            newest = sorted(number for number, _ in model)[-pinned:]
            expected = []
            while sum(size for _, size in model) > limit:
                loose = [entry for entry in model if entry[0] not in newest]
                if not loose:
                    break
                model.remove(loose[0])
                expected.append(loose[0][0])
            assert list(gone) == expected
            count += 1
        else:
            entry = store.get(value)
            assert (entry is not None) == (value in [number for number, _ in model])
            model.sort(key=lambda entry, used=value: entry[0] == used)
        assert store.ids == tuple(sorted(number for number, _ in model))
        assert store.nbytes == sum(size for _, size in model)
        assert store.nbytes <= limit or len(store) <= pinned


def line(*x):
    return [Place(10 + k, np.array([value, 0.0, 0.0])) for k, value in enumerate(x)]


def test_recency_nearness_and_spread_take_turns():
    # out and back: the lost one (x = 2) is near the second one
    places = line(0, 2.1, 50, 100, 60, 30, 2)
    assert recovery_candidates(places, 3) == (15, 11, 13)  # the newest; the nearest; the farthest from all of these


def test_without_positions_time_stands_for_distance():
    places = [Place(number) for number in range(9)]
    assert recovery_candidates(places, 3) == (7, 6, 0)
    mixed = [Place(0, np.zeros(3)), *places[1:]]
    assert recovery_candidates(mixed, 3) == (7, 6, 0)


def test_the_choice_among_many_keyframes_takes_little_memory():
    """A table of all distances between 3,000 keyframes would take 72 MB."""
    places = [Place(k, np.array([k % 50, k // 50, 0.0]), 0.0) for k in range(3000)]
    tracemalloc.start()
    recovery_candidates(places, 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_nothing_to_try():
    assert recovery_candidates([], 5) == recovery_candidates(line(1), 5) == recovery_candidates(line(1, 2, 3), 0) == ()


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20), st.integers(0, 25))
def test_candidates_are_kept_older_and_different(x, count):
    found = recovery_candidates(line(*x), count)
    assert len(found) == len(set(found)) == min(count, len(x) - 1)
    assert set(found) <= set(range(10, 10 + len(x) - 1))
    assert recovery_candidates(line(*x), count + 1)[: len(found)] == found  # one more to try changes none before it
