"""The lots between the streets."""

from __future__ import annotations

import numpy as np

from flight_sim.city_map.elements import Rectangle
from flight_sim.city_map.streets import Street

_WHOLE_BELOW = 75.0  # metres; lots with longer sides are divided
_MAYBE_WHOLE_BELOW = 120.0  # metres; up to here 30 % of the lots stay whole


def divide_lots(rng: np.random.Generator, streets: tuple[Street, ...], side: float) -> list[Rectangle]:
    """The rectangles between streets; large ones are divided."""
    intervals = []
    for axis in (1, 0):
        along = sorted((s.offset, s.half_width + 0.9 * (s.pavement == 0.0)) for s in streets if s.axis == axis)
        starts = [offset + half for offset, half in along]
        stops = [offset - half for offset, half in along[1:]] + [side - along[0][1]]
        intervals.append(list(zip(starts, stops, strict=True)))
    lots = []
    for x0, x1 in intervals[0]:
        for y0, y1 in intervals[1]:
            lots += _divided(rng, (x0, y0, x1, y1))
    return lots


def _divided(rng: np.random.Generator, lot: Rectangle) -> list[Rectangle]:
    """Cut a lot across its longer side until its parts are small enough."""
    x0, y0, x1, y1 = lot
    width, height = x1 - x0, y1 - y0
    longer = max(width, height)
    if longer < _WHOLE_BELOW or (longer < _MAYBE_WHOLE_BELOW and rng.random() < 0.3):
        return [lot]
    cut = rng.uniform(0.35, 0.65)
    if width > height:
        middle = x0 + cut * width
        return _divided(rng, (x0, y0, middle, y1)) + _divided(rng, (middle, y0, x1, y1))
    middle = y0 + cut * height
    return _divided(rng, (x0, y0, x1, middle)) + _divided(rng, (x0, middle, x1, y1))
