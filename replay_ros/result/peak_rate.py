"""The highest rate that a system keeps up with, by bisection over short trials; what a trial is, the caller knows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Trial:
    """Images sent at one rate (per second), how many of them stayed unanswered, and the seconds that it took."""

    rate_hz: float
    sent: int
    lost: int
    seconds: float

    @property
    def loss(self) -> float:
        """Lost over sent images."""
        return self.lost / self.sent if self.sent else 0.0


@dataclass(frozen=True)
class PeakRate:
    """What a search found. rate_hz: the highest rate tried, below every rate that lost more than max_loss; None: none.

    is_bounded: a higher rate failed; else the peak may be higher, and the search ended at its limits.
    """

    rate_hz: float | None
    max_loss: float
    is_bounded: bool
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class PeakSearch:
    """How to search. max_loss: share of images that may stay unanswered. precision: of the rate, relative.

    budget_s: no trial but the first begins that would, by `expected_seconds(rate)`, end later. min_rate_hz,
    max_rate_hz: never beyond.
    """

    max_loss: float = 0.05
    precision: float = 0.05
    budget_s: float = 120.0
    min_rate_hz: float = 0.02
    max_rate_hz: float = 240.0


def find_peak(
    measure: Callable[[float], Trial],
    first_rate_hz: float,
    search: PeakSearch,
    expected_seconds: Callable[[float], float] = lambda rate: 0.0,
) -> PeakRate:
    """Double or halve the rate until it is bracketed, then bisect its logarithm.

    A rate that fails bounds the search from above for good: a higher one, which noise may let pass, is not tried.
    """
    trials: list[Trial] = []
    good, bad = 0.0, math.inf
    rate = min(max(first_rate_hz, search.min_rate_hz), search.max_rate_hz)
    while not trials or sum(trial.seconds for trial in trials) + expected_seconds(rate) <= search.budget_s:
        trial = measure(rate)
        trials.append(trial)
        if trial.loss <= search.max_loss:
            good = rate
        else:
            bad = rate
        if bad <= good * (1 + search.precision) or good >= search.max_rate_hz or bad <= search.min_rate_hz:
            break
        if math.isinf(bad):
            rate = min(2 * good, search.max_rate_hz)
        elif good == 0:
            rate = max(bad / 2, search.min_rate_hz)
        else:
            rate = math.sqrt(good * bad)
    return PeakRate(good or None, search.max_loss, math.isfinite(bad), tuple(trials))
