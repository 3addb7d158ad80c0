"""Lots of trade and public life: car parks, squares, markets and industry."""

from __future__ import annotations

import math

import numpy as np

from flight_sim.city_map.elements import AWNING_WALL, HALL_WALL, Patch, Rectangle, colour_of, shrunk
from flight_sim.map_generation.draft import MapDraft
from flight_sim.map_generation.parking_bays import add_parking_bays

_CONTAINER = (6.1, 2.44, 2.6)  # metres; a 20-foot container (ISO 668)


def fill_car_park(draft: MapDraft, lot: Rectangle) -> None:
    """Bays for cars, with a row of trees and some people."""
    rng = draft.rng
    x0, y0, x1, _ = lot
    draft.fill("lawn", lot)
    add_parking_bays(draft, shrunk(lot, 2.5), float(rng.uniform(0.25, 0.95)), "car")
    for x in np.arange(x0 + 3.0, x1 - 3.0, 11.0).tolist():
        if rng.random() < draft.style.trees:
            draft.add_tree(float(x), y0 + 1.2, size=0.6)
    draft.add_gathering(shrunk(lot, 4.0), 6.0 * draft.style.crowds, seated=0.0)


def fill_square(draft: MapDraft, lot: Rectangle) -> None:
    """A paved square with bands, now and then a basin, trees in beds, and people."""
    rng = draft.rng
    x0, y0, x1, y1 = lot
    draft.fill(str(rng.choice(["square", "bricks", "square", "pavement"])), lot)
    band_colour = colour_of(rng.uniform(90, 200) * np.array([1.0, 0.95, 0.9]))
    for x in np.arange(x0 + 5.0, x1, float(rng.uniform(6, 12))).tolist():
        draft.stroke([(x, y0), (x, y1)], 0.4, band_colour)
    if rng.random() < 0.6:
        _add_basin(draft, (x0 + x1) / 2, (y0 + y1) / 2)
    for x in np.arange(x0 + 4.0, x1 - 3.0, float(rng.uniform(8, 13))).tolist():
        for y in (y0 + 3.0, y1 - 3.0):
            if rng.random() < draft.style.trees:
                draft.fill("soil", (x - 0.8, y - 0.8, x + 0.8, y + 0.8))
                draft.add_tree(float(x), y, size=0.6)
    area = (x1 - x0) * (y1 - y0)
    draft.add_gathering(shrunk(lot, 4.0), area / 45.0 * draft.style.crowds, seated=0.25)


def _add_basin(draft: MapDraft, cx: float, cy: float) -> None:
    """A round basin with water or grass and a rim."""
    radius = float(draft.rng.uniform(3.0, 7.0))
    angle = np.arange(24) * 2 * np.pi / 24
    ring = np.stack([cx + radius * np.cos(angle), cy + radius * np.sin(angle)], axis=1)
    draft.marks.append(Patch("concrete", (ring - [cx, cy]) * 1.18 + [cx, cy]))
    draft.marks.append(Patch("water" if draft.rng.random() < 0.6 else "lawn", ring))


def fill_market(draft: MapDraft, lot: Rectangle) -> None:
    """Rows of stalls and carts, with people between them."""
    rng = draft.rng
    x0, y0, x1, y1 = lot
    draft.fill(str(rng.choice(["concrete", "pavement", "old_asphalt"])), lot)
    for y in np.arange(y0 + 5.0, y1 - 4.0, 10.0).tolist():
        for x in np.arange(x0 + 5.0, x1 - 4.0, 4.2).tolist():
            if rng.random() < 0.6:
                draft.add_building((float(x), float(y)), (3.4, 2.6), 2.7, "gable", wall=AWNING_WALL)
            elif rng.random() < 0.5:
                draft.add_slot(x, y, float(rng.choice([0.0, math.pi / 2, math.pi])), "cart", 0.85)
        for x in np.arange(x0 + 4.0, x1 - 3.0, 4.0).tolist():
            draft.add_slot(x, y + 3.2, float(rng.uniform(-3, 3)), "cart", 0.25)
        aisle = (x0 + 3, y + 2.4, x1 - 3, y + 8.0)
        draft.add_gathering(aisle, (x1 - x0) * 0.6 * draft.style.crowds, seated=0.12)


def fill_industry(draft: MapDraft, lot: Rectangle) -> None:
    """Halls along one side; in front of them bays for trucks, or single trucks and containers."""
    rng = draft.rng
    draft.fill("concrete" if rng.random() < 0.5 else "old_asphalt", lot)
    x0, y0, x1, y1 = shrunk(lot, 3.0)
    middle = y0 + 0.5 * (y1 - y0)
    count = max(int((x1 - x0) / 24.0), 1)
    step = (x1 - x0) / count
    height = float(rng.uniform(6.0, 11.0))
    for index in range(count):
        centre = (x0 + (index + 0.5) * step, middle + 0.25 * (y1 - y0))
        draft.add_building(centre, (step - 0.05, 0.5 * (y1 - y0) - 1.0), height, "flat", wall=HALL_WALL)
    has_bays = middle - y0 > 30.0
    if has_bays:
        add_parking_bays(draft, (x0, y0, x1, middle - 2.0), float(rng.uniform(0.3, 0.8)), "truck")
    length, width, storey = _CONTAINER
    for x in np.arange(x0 + 2.0, x1 - 6.0, 7.0).tolist():
        if not has_bays and rng.random() < 0.5:
            draft.add_slot(x, y0 + 8.0, math.pi / 2, "truck", 0.8)
        elif rng.random() < 0.45:
            stacked = storey * float(rng.integers(1, 3))
            draft.add_building((float(x), middle - 5.0), (length, width), stacked, "flat", wall=HALL_WALL)
    draft.add_gathering((x0, y0, x1, middle - 2.0), 5.0 * draft.style.crowds, seated=0.1)
