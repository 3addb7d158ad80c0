"""Looks within a budget of time: costs are measured while looking, and predict what still fits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from yolc_ros.clusters import Region

REMEMBERED = 60  # looks whose costs are kept: half a minute at 2 Hz, so that a busier machine is noticed (empirical)
QUANTILE = 0.9  # of the measured costs per pixel, which is taken as the cost: p95 has to stay within the budget
SMALLEST_SHARE = 0.25  # of the wanted scale, below which a first look is not reduced further (empirical)
_ROUNDING = 1.1  # inputs are rounded up to multiples of 32 pixels (empirical)


@dataclass(frozen=True)
class Costs:
    """Measured looks, the newest last: (input pixels, seconds)."""

    looks: tuple[tuple[float, float], ...] = ()

    def with_look(self, pixels: float, seconds: float) -> Costs:
        """Return the costs with one more look."""
        return Costs((*self.looks, (pixels, seconds))[-REMEMBERED:])

    def seconds(self, pixels: float) -> float:
        """Predict the seconds of a look at so many input pixels; 0 before the first look.

        The cost is proportional to the pixels: a quantile of the measured ratios. Looks of fewer pixels than half of
        these count only where there are no others, since what every look costs dominates them.
        """
        similar = [look for look in self.looks if look[0] >= pixels / 2] or list(self.looks)
        if not similar:
            return 0.0
        return float(np.quantile([seconds / each for each, seconds in similar], QUANTILE)) * pixels


@dataclass(frozen=True)
class LeftOut:
    """What a budget left out of an image: regions, and the share of the wanted scale that the first look had.

    reduced: number of regions that were looked at with a smaller zoom than wanted.
    """

    regions: int = 0
    reduced: int = 0
    scale_share: float = 1.0

    def __str__(self) -> str:
        parts = [f"first look at {self.scale_share:.2f} of its scale"] if self.scale_share < 1 else []
        parts += [f"{self.regions} regions"] if self.regions else []
        parts += [f"zoom of {self.reduced} regions reduced"] if self.reduced else []
        return ", ".join(parts) or "nothing"


def affordable_share(costs: Costs, seconds: float, pixels: float) -> float:
    """Return the share of the scale, at most 1, at which a first look of so many input pixels fits into `seconds`."""
    predicted = costs.seconds(pixels * _ROUNDING)
    if predicted <= seconds:
        return 1.0
    return max(math.sqrt(seconds / predicted), SMALLEST_SHARE)


def affordable_regions(
    costs: Costs, seconds: float, regions: Sequence[Region], first_scale: float, smallest_gain: float
) -> tuple[tuple[Region, ...], LeftOut]:
    """Return the regions that fit into `seconds`, in the given order, and what was left out.

    A region that does not fit gets a smaller zoom, if that is still `smallest_gain` times `first_scale`.
    """
    kept: list[Region] = []
    reduced = 0
    for region in regions:
        cost = costs.seconds(input_pixels(region) * _ROUNDING)
        zoom = region.scale if cost <= seconds else region.scale * math.sqrt(max(seconds, 0.0) / cost)
        if zoom < region.scale and zoom < smallest_gain * first_scale:
            continue
        reduced += zoom < region.scale
        kept.append(replace(region, scale=zoom))
        seconds -= costs.seconds(input_pixels(kept[-1]) * _ROUNDING)
    return tuple(kept), LeftOut(len(regions) - len(kept), reduced)


def input_pixels(region: Region) -> float:
    """Return the input pixels of the look at a region."""
    return (region.x1 - region.x0) * (region.y1 - region.y0) * region.scale**2
