"""The scale of the first look, found by looking: `scale: auto`.

A network that sees its objects in a fitting size finds more of them, with higher scores, so a look is rated by the sum
of its scores. The search climbs from a small image to larger ones, as long as that finds more. Between two searches the
scale follows the sizes of what is found, with hysteresis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from yolc_ros.boxes import ScoredBoxes
from yolc_ros.looks.bands import LARGEST_ENLARGEMENT
from yolc_ros.looks.crowds import pixels_per_metre
from yolc_ros.network.config import ObjectSizes

Look = Callable[[float], ScoredBoxes]  # the boxes that a look at the whole image at a scale finds


@dataclass(frozen=True)
class SearchConfig:
    """When and where other scales are looked at; all values are empirical.

    interval: images from one search to the next. retry: the same after a search that found nothing. smallest_side: longer side of the smallest look, input pixels. step:
    ratio of the scales of two looks. counted: lowest score of a box that counts. enough: a smaller look is preferred to
    a larger one that finds less than 1 / enough times as much. drop: the search ends at a look that finds less than this
    share of the best. change: the scale that is kept is left only for one that finds so many times as much.
    """

    interval: int = 60
    retry: int = 20
    smallest_side: int = 320
    step: float = math.sqrt(2)
    counted: float = 0.3
    enough: float = 0.9
    drop: float = 0.7
    change: float = 1.1

    def __post_init__(self) -> None:
        if min(self.interval, self.retry) < 1 or self.smallest_side < 32 or self.step <= 1 or self.change < 1:
            raise ValueError("interval and retry must be at least 1, smallest_side at least 32, step above 1, change at least 1")


@dataclass(frozen=True)
class ScaleState:
    """The scale in use, input pixels per image pixel; None: none was found yet. age: images since the last search.

    size: (width, height) of the images it was found for; those of another size begin anew.
    """

    scale: float | None = None
    age: int = 0
    size: tuple[int, int] = (0, 0)


def rate(found: ScoredBoxes, config: SearchConfig) -> float:
    """Rate a look: the sum of the scores of its boxes."""
    return float(found.scores[found.scores >= config.counted].sum())


def ladder(width: int, height: int, max_side: int, config: SearchConfig) -> tuple[float, ...]:
    """Return the scales of a search, the smallest first: up to an enlargement, or to max_side (0: no limit)."""
    longer = max(width, height)
    last = min(LARGEST_ENLARGEMENT, max_side / longer) if max_side else LARGEST_ENLARGEMENT
    first = min(config.smallest_side / longer, last)
    steps = max(0, math.ceil(math.log(last / first) / math.log(config.step) - 1e-9))
    return tuple(last * config.step**-k for k in range(steps, -1, -1))


def search(look: Look, scales: Sequence[float], config: SearchConfig, current: float | None = None) -> float | None:
    """Return the scale, among `scales` in ascending order, whose look finds most, with few pixels.

    current: the scale in use, which is kept unless another one finds clearly more. None: nothing was found.
    """
    ratings: dict[float, float] = {}
    for scale in scales:
        ratings[scale] = rate(look(scale), config)
        best = max(ratings.values())
        if best > 0 and ratings[scale] < config.drop * best:
            break
    best = max(ratings.values())
    if best == 0:
        return current
    chosen = min(scale for scale, value in ratings.items() if value >= config.enough * best)
    if current is not None:
        kept = rate(look(current), config)
        if ratings[chosen] < config.change * kept:
            return current
    return chosen


def follow(
    state: ScaleState, found: ScoredBoxes, share: float, sizes: ObjectSizes, config: SearchConfig
) -> ScaleState:
    """Return the state after a look at `share` of the state's scale.

    A search is due when the objects leave the range for which the network is good, but not right after the last one.
    """
    state = replace(state, age=state.age + 1)
    counted = found.select(found.scores >= config.counted)
    if state.scale is None or len(counted) < _FEWEST or state.age < config.retry:
        return state
    seen = state.scale * share * float(np.median(pixels_per_metre(counted, sizes)))
    return state if sizes.smallest <= seen <= sizes.largest else replace(state, age=config.interval)


_FEWEST = 3  # objects whose median tells that the scale does not fit any more (empirical)
