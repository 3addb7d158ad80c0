"""Looks within a budget of time: costs are measured while looking, and predict what still fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from yolc_ros.clusters import Region
from yolc_ros.looks.bands import Band, band_pixels
from yolc_ros.preprocessing import input_area

REMEMBERED = 60  # looks whose costs are kept: half a minute at 2 Hz, so that a busier machine is noticed (empirical)
QUANTILE = 0.97  # of the measured costs per pixel, which is taken as the cost: p95 has to stay within the budget
SMALLEST_SHARE = 0.25  # of the wanted scale, below which a first look is not reduced further (empirical)
PLANNED = 0.92  # share of the budget that looks are planned for; merging of boxes and scatter take the rest (empirical)
_STEP = 0.97  # ratio of two shares or zooms that are tried, since inputs are padded to multiples of 32 pixels


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


def affordable_share(costs: Costs, seconds: float, bands: Sequence[Band], width: int) -> float:
    """Return the share of the scale, at most 1, at which a first look at bands of an image fits into `seconds`."""
    share = 1.0
    while share > SMALLEST_SHARE and costs.seconds(band_pixels(reduced(bands, share), width)) > seconds:
        share *= _STEP
    return max(share, SMALLEST_SHARE)


def reduced(bands: Sequence[Band], share: float) -> tuple[Band, ...]:
    """Return bands with a share of their scales."""
    return tuple(replace(band, scale=band.scale * share) for band in bands)


def affordable_regions(
    costs: Costs, seconds: float, regions: Sequence[Region], first_scale: float, smallest_gain: float
) -> tuple[tuple[Region, ...], LeftOut]:
    """Return the regions that fit into `seconds`, in the given order, and what was left out.

    A region that does not fit gets a smaller zoom, if that is still `smallest_gain` times `first_scale`.
    """
    kept: list[Region] = []
    smaller = 0
    for region in regions:
        fitting = region
        while costs.seconds(input_pixels(fitting)) > seconds and fitting.scale >= smallest_gain * first_scale:
            fitting = replace(fitting, scale=fitting.scale * _STEP)
        if fitting is not region and fitting.scale < smallest_gain * first_scale:
            continue
        smaller += fitting is not region
        kept.append(fitting)
        seconds -= costs.seconds(input_pixels(fitting))
    return tuple(kept), LeftOut(len(regions) - len(kept), smaller)


def input_pixels(region: Region) -> float:
    """Return the input pixels of the look at a region, with their padding."""
    return float(input_area(region.x1 - region.x0, region.y1 - region.y0, region.scale))
