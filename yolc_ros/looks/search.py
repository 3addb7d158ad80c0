"""The scale of the first look, found by looking: `scale: auto` and `scale: reduce`.

A look is rated by the objects that it shows surely. The probability that a box is an object follows from its score and
from its size in the input: at too large a scale a network takes lane markings and windows for small objects, with the
scores of far cars. The search climbs from a small image to larger ones until something clear is found, and then goes on
to neighbouring scales while they are better. A larger look costs more, so it has to show clearly more.
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

_DOUBTFUL = 0.001  # weight of all probabilities, which decides between looks without likely boxes (empirical)
_SIZE_POWER = 2  # the odds of a box below the best size fall with its area (docs/training_history.md)
_SURE = 1e-6  # a probability stays so far below 1, whose odds are infinite
_SAME = 1e-6  # relative difference of scales that differ by rounding only
_FEWEST = 3  # objects whose median tells that the scale does not fit any more (empirical)
Look = Callable[[float], ScoredBoxes]  # boxes that a look at the whole image at a scale finds; scores: probabilities


@dataclass(frozen=True)
class SearchConfig:
    """When and where other scales are looked at; all values are empirical.

    interval: images from one search to the next. retry: images from a search to the next one at the earliest, when
    objects leave the range of sizes or when nothing is found. first_side: longer side of the first look, input
    pixels. step: ratio of the scales of two looks of the climb. fine_step: of two neighbouring looks after it.
    counted: lowest probability of a box that counts as an object. likely: probability from which a box counts in the
    rating, by what it exceeds it. clear: rating at which the climb ends. change: the scale in use is left only for one
    that differs by this ratio and is worth at least as much. cost_power: of the scale, which the rating has to outgrow;
    2 / 3 is the cube root of the pixels (docs/benchmarks.md#looks). least_gain: the largest scale is left only for one
    that is worth so many times as much; 0: it is a scale like others.
    """

    interval: int = 60
    retry: int = 20
    first_side: int = 640
    step: float = 2.0
    fine_step: float = math.sqrt(2.0)
    counted: float = 0.2
    likely: float = 0.3
    clear: float = 1.0
    change: float = 1.2
    cost_power: float = 2 / 3
    least_gain: float = 0.0

    def __post_init__(self) -> None:
        if min(self.interval, self.retry) < 1 or self.first_side < 32:
            raise ValueError("interval and retry must be at least 1, first_side at least 32")
        if min(self.step, self.fine_step, self.change) <= 1:
            raise ValueError("step, fine_step and change are ratios above 1")


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


def rate(found: ScoredBoxes, scale: float, sizes: ObjectSizes, config: SearchConfig) -> float:
    """Rate a look at a scale by the objects that it shows surely.

    found: boxes in image pixels, whose scores are probabilities. The odds of a box that is smaller in the input than
    the network's best size are reduced with its area.
    """
    probability = found.scores.astype(np.float64).clip(0, 1 - _SURE)
    size = (pixels_per_metre(found, sizes) * scale / sizes.best).clip(max=1)
    odds = probability / (1 - probability) * size**_SIZE_POWER
    probability = odds / (1 + odds)
    return float((probability - config.likely).clip(min=0).sum() + _DOUBTFUL * probability.sum())


def fitting_scale(found: ScoredBoxes, sizes: ObjectSizes, config: SearchConfig) -> float | None:
    """Return the scale at which the found objects have the best size, by their median; None: there is no object.

    found: the scores are probabilities.
    """
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
    """Return the scale, up to `last`, whose look is worth most, beginning at `first`; None: nothing was found.

    current: the scale in use, which is kept unless another one is clearly better.
    """
    ratings: dict[float, float] = {}

    def rated(scale: float) -> float:
        known = next((each for each in ratings if math.isclose(each, scale, rel_tol=_SAME)), scale)
        if known not in ratings:
            ratings[known] = rate(look(known), known, sizes, config)
        return ratings[known]

    def worth(scale: float) -> float:
        return rated(scale) / scale**config.cost_power

    scale = min(first, last)
    while rated(scale) < config.clear and scale < last:
        scale = min(scale * config.step, last)
    best = max(ratings, key=worth)
    if not (look(best).scores >= config.counted).any():
        return current
    for ratio in (1 / config.fine_step, config.fine_step):
        while (target := min(best * ratio, last)) != best and worth(target) > worth(best):
            best = target
    if current is not None:
        differs = abs(math.log(best / current)) >= math.log(config.change)
        best = best if differs and worth(best) >= worth(current) else current
    if config.least_gain:
        # A smaller scale in use is kept while it is better.
        gain = config.least_gain if current in (None, last) else 1.0
        return last if worth(best) < gain * worth(last) else best
    return best


def follow(
    state: ScaleState, found: ScoredBoxes, share: float, last: float, sizes: ObjectSizes, config: SearchConfig
) -> ScaleState:
    """Return the state after a look at `share` of the state's scale. last: the largest scale.

    found: the scores are probabilities. A search is due when nothing is found, and when the objects leave the range for
    which the network is good, but not right after the last one, nor for objects that are too small at any scale.
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
    is_largest = state.scale >= last * (1 - _SAME)
    fits = (is_largest or sizes.smallest <= seen) and seen <= sizes.largest
    return state if fits else replace(state, age=config.interval)
