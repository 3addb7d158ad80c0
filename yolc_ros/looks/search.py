"""The scale of the first look, found by looking: `scale: auto`.

A network that sees its objects in a fitting size finds more of them, with higher scores, so a look is rated by the sum
of the scores of its sure boxes. Doubtful boxes hardly count: a look at too large a scale has many on lane markings and
windows. The search climbs from a small image to larger ones until something clear is found. The sizes of what is
found there tell the scale at which it would have the network's best size, which is looked at next.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from yolc_ros.boxes import ScoredBoxes
from yolc_ros.looks.bands import LARGEST_ENLARGEMENT
from yolc_ros.looks.crowds import pixels_per_metre
from yolc_ros.network.config import ObjectSizes

_DOUBTFUL = 0.01  # weight of doubtful boxes, which decide between looks without sure ones (empirical)
_FEWEST = 3  # objects whose median tells that the scale does not fit any more (empirical)
Look = Callable[[float], ScoredBoxes]  # the boxes that a look at the whole image at a scale finds


@dataclass(frozen=True)
class SearchConfig:
    """When and where other scales are looked at; all values are empirical.

    interval: images from one search to the next. retry: images from a search to the next one at the earliest, when
    objects leave the range of sizes or when nothing is found. first_side: longer side of the first look, input
    pixels. step: ratio of the scales of two looks of the climb. counted: lowest score of a box that counts. sure:
    lowest score of a box that is more likely right than wrong. clear: rating at which the climb ends. rounds: looks
    at most that the sizes ask for. tolerance: ratio of two scales that are not worth another look. keep: share of
    the best rating that a look at the scale which the sizes ask for must have. change: the scale in use is left
    only for one that differs by this ratio and finds at least as much.
    """

    interval: int = 60
    retry: int = 20
    first_side: int = 640
    step: float = 2.0
    counted: float = 0.2
    sure: float = 0.5
    clear: float = 2.0
    rounds: int = 3
    tolerance: float = 1.3
    keep: float = 0.9
    change: float = 1.2

    def __post_init__(self) -> None:
        if min(self.interval, self.retry) < 1 or self.first_side < 32 or self.rounds < 0:
            raise ValueError("interval and retry must be at least 1, first_side at least 32, rounds at least 0")
        if min(self.step, self.tolerance, self.change) <= 1:
            raise ValueError("step, tolerance and change are ratios above 1")


@dataclass(frozen=True)
class ScaleState:
    """The scale in use, input pixels per image pixel; None: none was found yet. age: images since the last search.

    size: (width, height) of the images it was found for; those of another size begin anew.
    """

    scale: float | None = None
    age: int = 0
    size: tuple[int, int] = (0, 0)


def largest_scale(width: int, height: int, max_side: int) -> float:
    """Return the largest scale: that of max_side (0: no limit), and no enlargement that shows nothing more."""
    return min(LARGEST_ENLARGEMENT, max_side / max(width, height)) if max_side else LARGEST_ENLARGEMENT


def rate(found: ScoredBoxes, config: SearchConfig) -> float:
    """Rate a look: the sum of the scores of its sure boxes, and a little of the doubtful ones."""
    counted = found.scores[found.scores >= config.counted]
    is_sure = counted >= config.sure
    return float(counted[is_sure].sum() + _DOUBTFUL * counted[~is_sure].sum())


def fitting_scale(found: ScoredBoxes, sizes: ObjectSizes, config: SearchConfig) -> float | None:
    """Return the scale at which the found objects have the best size, by their median; None: there is no object."""
    counted = found.select(found.scores >= config.counted)
    if not len(counted):
        return None
    per_metre = pixels_per_metre(counted, sizes)
    order = np.argsort(per_metre)
    weight = np.cumsum(counted.scores[order])
    return sizes.best / float(per_metre[order][np.searchsorted(weight, weight[-1] / 2)])


def search(
    look: Look, first: float, last: float, sizes: ObjectSizes, config: SearchConfig, current: float | None = None
) -> float | None:
    """Return the scale, from `first` to `last`, at which a look finds most; None: nothing was found at any.

    current: the scale in use, which is kept unless another one is clearly better.
    """
    ratings: dict[float, float] = {}
    scale = min(first, last)
    ratings[scale] = rate(look(scale), config)
    while ratings[scale] < config.clear and scale < last:
        scale = min(scale * config.step, last)
        ratings[scale] = rate(look(scale), config)
    best = max(ratings, key=lambda each: ratings[each])
    for _ in range(config.rounds):
        fitting = fitting_scale(look(best), sizes, config)
        if fitting is None:
            return current
        target = min(fitting, last)
        if any(abs(math.log(target / each)) < math.log(config.tolerance) for each in ratings):
            break
        ratings[target] = rate(look(target), config)
        if ratings[target] < config.keep * ratings[best]:
            break
        best = target
    if current is None or abs(math.log(best / current)) < math.log(config.change):
        return best if current is None else current
    return best if ratings[best] >= rate(look(current), config) else current


def follow(state: ScaleState, found: ScoredBoxes, share: float, sizes: ObjectSizes, config: SearchConfig) -> ScaleState:
    """Return the state after a look at `share` of the state's scale.

    A search is due when nothing is found, and when the objects leave the range for which the network is good, but not
    right after the last one.
    """
    state = replace(state, age=state.age + 1)
    if state.scale is None or state.age < config.retry:
        return state
    fitting = fitting_scale(found, sizes, config)
    if fitting is None:
        return replace(state, age=config.interval)
    if np.count_nonzero(found.scores >= config.counted) < _FEWEST:
        return state
    seen = sizes.best / fitting * state.scale * share
    return state if sizes.smallest <= seen <= sizes.largest else replace(state, age=config.interval)
