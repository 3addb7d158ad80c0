"""The checks that the search for loops makes with an image, and those that wait for later images.

A check matches a keyframe with an old one in full. Each image has a budget of checks, so that the time of an answer
does not depend on how many old keyframes may show the place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loftr_ros.loops.retrieval import Candidate

TRIAL_COST = 1  # checks; measured with loftr_lite at 320x240: a trial of all turns takes as long as 0.8 to 1.4 of them
MAX_WAITING = 32  # checks: what a keyframe leaves over is made within a few images, or its features are gone


@dataclass(frozen=True, eq=False)
class Check:
    """A keyframe, by id, to be matched with a candidate."""

    newer_id: int
    candidate: Candidate

    def cost(self, *, tries_turns: bool) -> int:
        """Return what it costs of the budget. tries_turns: all turns are tried where none is expected."""
        return 1 + (TRIAL_COST if tries_turns and self.candidate.expected is None else 0)


def within_budget(
    checks: Sequence[Check], budget: int, *, tries_turns: bool
) -> tuple[tuple[Check, ...], tuple[Check, ...]]:
    """Return the checks that an image makes, and those that wait, at most MAX_WAITING, in their order.

    A check that costs more than the whole budget is made where it is the only one.
    """
    now: list[Check] = []
    later: list[Check] = []
    left = budget
    for check in checks:
        cost = check.cost(tries_turns=tries_turns)
        if budget > 0 and (cost <= left or not now):
            now.append(check)
            left -= cost
        else:
            later.append(check)
    return tuple(now), tuple(later[:MAX_WAITING])
