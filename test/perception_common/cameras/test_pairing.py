"""Pairs by stamp against a brute force search, and what an image then gets."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception_common.cameras.pairing import Partners, StampPairing, SyncSettings

MS = 10**6
arrivals = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60).map(lambda t: t * MS)), max_size=40)


def brute_force(streams, slop_ns, given_arrivals, queue):
    """All sets, by looking at every combination of what waits; nearest to the newest stamp first, stream by stream."""
    waiting, sets = [[] for _ in range(streams)], []
    for stream, stamp in given_arrivals:
        if stream >= streams:
            continue
        if stamp not in waiting[stream]:
            waiting[stream].append(stamp)
        if len(waiting[stream]) > queue:
            waiting[stream].remove(min(waiting[stream]))
        if stamp not in waiting[stream]:
            continue
        combinations = []
        for picked in itertools.product(*(range(len(each)) for each in waiting)):
            stamps = tuple(each[k] for each, k in zip(waiting, picked, strict=True))
            spread = max(abs(a - b) for a in stamps for b in stamps)
            fits = spread == 0 if slop_ns == 0 else spread < slop_ns
            if stamps[stream] == stamp and fits:
                rank = tuple((abs(s - stamp), k) for s, k in zip(stamps, picked, strict=True))
                combinations.append((rank, stamps))
        if combinations:
            _, best = min(combinations)
            sets.append(best)
            for each, used in zip(waiting, best, strict=True):
                each.remove(used)
    return sets


@given(st.integers(2, 3), st.sampled_from([0, 1, 5, 20]), arrivals, st.integers(1, 5))
@settings(deadline=None, max_examples=300)
def test_sets_are_those_of_a_search_through_all_combinations(streams, slop_ms, given_arrivals, queue):
    found = []
    pairing = StampPairing(streams, slop_ms * MS, found.append, queue)
    for stream, stamp in given_arrivals:
        if stream < streams:
            pairing.add(stream, stamp)
    assert found == brute_force(streams, slop_ms * MS, given_arrivals, queue)


@given(arrivals)
@settings(deadline=None, max_examples=100)
def test_equal_stamps_are_always_paired(given_arrivals):
    """Whatever the order of arrival, if nothing is dropped."""
    unique = list(dict.fromkeys((stream, stamp) for stream, stamp in given_arrivals if stream < 2))
    found = []
    pairing = StampPairing(2, 0, found.append)
    for stream, stamp in unique:
        pairing.add(stream, stamp)
    both = {stamp for stream, stamp in unique if stream == 0} & {stamp for stream, stamp in unique if stream == 1}
    assert sorted(found) == sorted((stamp, stamp) for stamp in both)


def partners_of(slop, events):
    partners = Partners(SyncSettings(slop=slop))
    for kind, stamp in events:
        (partners.add_image if kind == "image" else partners.add)(stamp * MS)
    return partners


def test_an_image_gets_its_partner_within_the_slop_else_its_own_stamp():
    events = [("image", 100), ("other", 104), ("image", 200), ("other", 250)]
    close = partners_of(0.02, events)
    assert [close.of(stamp * MS) // MS for stamp in (100, 200, 300)] == [104, 200, 300]
    exact = partners_of(0.0, [*events, ("other", 200)])
    assert [exact.of(stamp * MS) // MS for stamp in (100, 200)] == [100, 200]


@pytest.mark.parametrize("slop", [0.0, 0.02])
def test_images_that_start_over_are_paired_again(slop):
    """With the queues full of stamps from before, which are newer than all that come."""
    before = [event for k in range(200) for event in (("image", 10_000 + 100 * k), ("other", 10_050 + 100 * k))]
    partners = partners_of(slop, [*before, ("image", 100), ("other", 100), ("image", 200), ("other", 200)])
    assert partners.of(200 * MS) == 200 * MS
    assert list(partners._stamps) == [100 * MS, 200 * MS]
