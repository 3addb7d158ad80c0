"""The streets of a scene, and the lots between them."""

from __future__ import annotations

import numpy as np

from flight_sim.city_map.elements import Rectangle
from flight_sim.city_map.place_style import PlaceStyle
from flight_sim.city_map.streets import Street

_WHOLE_BELOW = 75.0  # metres; lots with longer sides are divided
_MAYBE_WHOLE_BELOW = 120.0  # metres; up to here 30 % of the lots stay whole


def lay_streets(rng: np.random.Generator, style: PlaceStyle, side: float) -> tuple[Street, ...]:
    """Draw the streets of a scene: first those along x, then those along y."""
    streets = []
    for axis, count, lanes in ((0, style.blocks_y, style.lanes_x), (1, style.blocks_x, style.lanes_y)):
        for index in range(count):
            offset = 0.0 if index == 0 else side * (index + float(rng.uniform(-0.16, 0.16))) / count
            own_lanes = lanes if index == 0 else max(1, lanes - int(rng.integers(0, 2)))
            is_track = style.is_rural and axis != style.green_axis
            streets.append(
                Street(
                    axis=axis,
                    offset=offset,
                    lanes=1 if is_track else own_lanes,
                    median=style.median if own_lanes >= 2 else 0.0,
                    parking=style.kerb_parking and not is_track,
                    pavement=style.pavement,
                    bend=style.bend,
                    phase=float(rng.uniform(0.0, 2.0 * np.pi)),
                    surface="gravel" if is_track else str(rng.choice(["asphalt", "asphalt", "old_asphalt"])),
                )
            )
    return tuple(streets)


def divide_lots(rng: np.random.Generator, streets: tuple[Street, ...], side: float) -> list[Rectangle]:
    """The rectangles between streets; large ones are divided."""
    intervals = []
    for axis in (1, 0):
        along = sorted((s.offset, s.outer_half_width) for s in streets if s.axis == axis)
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
