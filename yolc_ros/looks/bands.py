"""Horizontal bands of an image that are looked at in scales of their own, for oblique views of the ground."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolc_ros.network.config import ObjectSizes
from yolc_ros.preprocessing import input_area

LARGEST_ENLARGEMENT = 2.0  # input pixels per image pixel, above which an image holds nothing more to see (empirical)
_SPREAD = 2.5  # largest ratio of the scales that one band needs; the network bears more than that (empirical)
_OVERLAP_M = 10.0  # of neighbouring bands, metres on the ground: about a bus, so that one band shows it whole
_MOST_BANDS = 4  # in an image; further ones would be thinner than the objects in them (empirical)


@dataclass(frozen=True)
class Band:
    """Rows y0 to y1 (exclusive) of an image, looked at with `scale` input pixels per image pixel."""

    y0: int
    y1: int
    scale: float


@dataclass(frozen=True)
class GroundView:
    """The ground as a camera sees it.

    altitude: of the camera above the ground, metres. down: (x, y, z), unit vector of gravity in the optical frame (x
    right, y down, z forward). focal: (fx, fy), pixels. centre: (cx, cy), pixels.
    """

    altitude: float
    down: tuple[float, float, float]
    focal: tuple[float, float]
    centre: tuple[float, float]

    def pixels_per_metre(self, x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
        """Image pixels per metre across the line of sight, of an object on flat ground at pixels (x, y).

        The ray r = ((x - cx) / fx, (y - cy) / fy, 1) meets the ground at the depth z = altitude / (down . r), where a
        metre has focal / z pixels. 0 or less: at the horizon or above it.
        """
        (fx, fy), (cx, cy) = self.focal, self.centre
        towards = self.down[0] * (x - cx) / fx + self.down[1] * (y - cy) / fy + self.down[2]
        return np.asarray(math.sqrt(fx * fy) * towards / self.altitude)


def ground_bands(
    view: GroundView,
    width: int,
    height: int,
    sizes: ObjectSizes,
    max_side: int = 0,
    *,
    useful_zoom: float = LARGEST_ENLARGEMENT,
) -> tuple[Band, ...]:
    """Divide an image into bands, each with the scale at which the ground has the network's best pixels per metre.

    Rows at the horizon and above it, and those so far away that no enlargement makes their objects large enough, are
    left out, if the rest is not the whole image. max_side: of the network's input, pixels; 0: no limit. useful_zoom: of
    the image (`detail.useful_zoom`); a band has no larger scale. A band for an image that shows no such ground covers
    all of it, as small as the other extreme allows.
    """
    largest = min(LARGEST_ENLARGEMENT, useful_zoom)
    rows = np.arange(height) + 0.5
    per_metre = view.pixels_per_metre(width / 2, rows)
    usable = np.flatnonzero(per_metre * largest >= sizes.smallest / 2)
    if not len(usable):
        return (Band(0, height, _limited(largest, width, height, max_side)),)
    first, last = int(usable[0]), int(usable[-1]) + 1
    wanted = np.minimum(sizes.best / np.maximum(per_metre[first:last], 1e-9), largest)
    edges = [first, *(first + edge for edge in _edges(wanted)), last]
    bands = []
    for low, high in itertools.pairwise(edges):
        scale = math.sqrt(float(wanted[low - first]) * float(wanted[high - first - 1]))  # between both extremes
        above, below = (math.ceil(_OVERLAP_M / 2 * float(per_metre[row])) for row in (low, high - 1))
        y0 = low if low == first else max(low - above, first)
        y1 = high if high == last else min(high + below, last)
        bands.append(Band(y0, y1, _limited(scale, width, y1 - y0, max_side)))
    return tuple(bands)


def _edges(wanted: np.ndarray) -> list[int]:
    """Return the rows at which a new band begins: equal ratios of the wanted scales (rows,), monotonous over rows."""
    logs = np.log(wanted)
    count = min(max(1, math.ceil(float(np.ptp(logs)) / math.log(_SPREAD))), _MOST_BANDS)
    steps = logs[0] + (logs[-1] - logs[0]) * np.arange(1, count) / count
    order = np.sign(logs[-1] - logs[0])
    return sorted({int(np.searchsorted(order * logs, order * step)) for step in steps} - {0, len(wanted)})


def _limited(scale: float, width: int, height: int, max_side: int) -> float:
    return min(scale, max_side / max(width, height)) if max_side else scale


def whole(height: int, scale: float) -> tuple[Band, ...]:
    """Return one band for the whole image."""
    return (Band(0, height, scale),)


def band_pixels(bands: Sequence[Band], width: int) -> float:
    """Return the input pixels of a look at bands of an image of this width, with their padding."""
    return float(sum(input_area(width, band.y1 - band.y0, band.scale) for band in bands))


def scales_at(bands: Sequence[Band], y: np.ndarray) -> np.ndarray:
    """Return the largest scale (N,) at which rows `y` (N,) of the image are looked at; 0 where they are not."""
    scales = np.zeros(len(y))
    for band in bands:
        inside = (y >= band.y0) & (y < band.y1)
        scales[inside] = np.maximum(scales[inside], band.scale)
    return scales
