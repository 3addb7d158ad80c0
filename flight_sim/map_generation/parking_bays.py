"""Rows of parking bays on a lot."""

from __future__ import annotations

import math

from flight_sim.city_map.elements import Rectangle
from flight_sim.map_generation.draft import MapDraft

_AISLE = 6.0  # metres between two facing rows
_BAYS = {"car": (5.0, 2.6), "truck": (13.0, 4.2)}  # length and width of a bay in metres


def add_parking_bays(draft: MapDraft, area: Rectangle, occupancy: float, kind: str) -> None:
    """Fill an area with pairs of rows of bays; `kind` is "car" or "truck"."""
    x0, y0, x1, y1 = area
    draft.fill("asphalt" if draft.rng.random() < 0.5 else "old_asphalt", area)
    length, width = _BAYS[kind]
    count = int((x1 - x0 - 2) / width)
    y = y0 + 0.5
    while y + 2 * length + _AISLE <= y1:
        for offset, yaw in ((0.0, math.pi / 2), (length + _AISLE, -math.pi / 2)):
            row = y + offset
            draft.stroke([(x0 + 1.0, row), (x0 + 1.0 + width * count, row)], 0.12)
            for index in range(count + 1):
                x = x0 + 1.0 + width * index
                draft.stroke([(x, row), (x, row + length)], 0.12)
                if x + width < x1 - 0.9:
                    heading = yaw if draft.rng.random() < 0.7 else -yaw
                    draft.add_slot(x + width / 2, row + length / 2, heading, kind, occupancy)
        y += 2 * length + 6.5
