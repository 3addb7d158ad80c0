"""The budget of checks of an image."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from loftr_ros.loops.checks import MAX_WAITING, TRIAL_COST, Check, within_budget
from loftr_ros.loops.retrieval import Candidate

KNOWN, UNKNOWN = SimpleNamespace(), None  # expected motions


def checks_of(expected):
    return [Check(100, Candidate(k, 1.0, motion)) for k, motion in enumerate(expected)]


@given(st.lists(st.sampled_from([KNOWN, UNKNOWN]), max_size=50), st.integers(0, 9), st.booleans())
def test_an_image_makes_what_the_budget_allows_and_the_rest_waits(expected, budget, tries_turns):
    checks = checks_of(expected)
    now, later = within_budget(checks, budget, tries_turns=tries_turns)
    costs = [1 + (TRIAL_COST if tries_turns and check.candidate.expected is None else 0) for check in now]
    assert sum(costs) <= budget or len(now) == 1
    assert len(later) == min(len(checks) - len(now), MAX_WAITING)
    assert set(now).isdisjoint(later)
    for part in (now, later):
        assert list(part) == [check for check in checks if check in part]  # the order stays
    assert bool(now) == bool(checks and budget)


def test_the_most_promising_checks_come_first_and_what_is_left_is_used():
    now, later = within_budget(checks_of([UNKNOWN, KNOWN, UNKNOWN, KNOWN]), 1 + TRIAL_COST + 2, tries_turns=True)
    assert [check.candidate.id for check in now] == [0, 1, 3]
    assert [check.candidate.id for check in later] == [2]


def test_a_check_waits_no_longer_than_there_is_room():
    _, later = within_budget(checks_of([KNOWN] * 100), 1, tries_turns=True)
    assert [check.candidate.id for check in later] == list(range(1, 1 + MAX_WAITING))
