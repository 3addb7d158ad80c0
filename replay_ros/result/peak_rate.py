"""The highest image rate that a system sustains, found by bisection over short trials."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Trial:
    """Result of sending images at one rate. lost: images without a result. seconds: duration of the trial."""

    rate_hz: float
    sent: int
    lost: int
    seconds: float

    @property
    def loss(self) -> float:
        """Lost images over sent images."""
        return self.lost / self.sent if self.sent else 0.0


@dataclass(frozen=True)
class PeakRate:
    """Result of a search.

    rate_hz: the highest rate that lost at most `max_loss` and is below every rate that lost more; None without one.
    is_bounded: a higher rate lost more; otherwise the search ended at its limits and the peak may be higher.
    """

    rate_hz: float | None
    max_loss: float
    is_bounded: bool
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class PeakSearch:
    """Settings of a search.

    max_loss: largest share of images without a result. precision: relative precision of the rate. budget_s: a trial
    after the first starts only if it is expected to end within this time. min_rate_hz, max_rate_hz: limits of the rate.
    """

    max_loss: float = 0.05
    precision: float = 0.05
    budget_s: float = 120.0
    min_rate_hz: float = 0.02
    max_rate_hz: float = 240.0


def find_peak(
    run_trial: Callable[[float], Trial],
    first_rate_hz: float,
    search: PeakSearch,
    expected_seconds: Callable[[float], float] = lambda rate: 0.0,
) -> PeakRate:
    """Double or halve the rate until the peak is bracketed, then bisect the logarithm of the rate.

    A rate that loses more than `max_loss` is an upper bound from then on: higher rates, which may pass by chance, are
    not tried. expected_seconds: duration of a trial at a rate, for the budget.
    """
    trials: list[Trial] = []
    good, bad = 0.0, math.inf
    rate = min(max(first_rate_hz, search.min_rate_hz), search.max_rate_hz)
    while not trials or sum(trial.seconds for trial in trials) + expected_seconds(rate) <= search.budget_s:
        trial = run_trial(rate)
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
    return PeakRate(rate_hz=good or None, max_loss=search.max_loss, is_bounded=math.isfinite(bad), trials=tuple(trials))
