"""Draws the map of a scene: streets, then lots, then what is painted on the streets."""

from __future__ import annotations

import numpy as np

from flight_sim.city_map.elements import CityMap
from flight_sim.city_map.place_style import PlaceStyle
from flight_sim.city_map.streets import Street
from flight_sim.map_generation.draft import MapDraft
from flight_sim.map_generation.land_use import LAND_USES, choose_land_use
from flight_sim.map_generation.road_markings import mark_street
from flight_sim.map_generation.street_grid import divide_lots, lay_streets
from flight_sim.map_generation.street_surfaces import paint_surfaces


def generate_map(rng: np.random.Generator, style: PlaceStyle, side: float, built: bool = True) -> CityMap:
    """Draw the map of a scene of period `side` metres; with `built` False only open ground with trees."""
    green = np.array([70.0, 100.0, 48.0]) * rng.uniform(0.75, 1.15) + rng.normal(0.0, 6.0, 3)
    draft = MapDraft(rng, style, green)
    if not built:
        whole = (0.0, 0.0, side, side)
        draft.fill("grass", whole)
        draft.scatter_trees(whole, per_hectare=20.0)
        return draft.finished(side, (), len(draft.marks))
    streets = lay_streets(rng, style, side)
    for lot in divide_lots(rng, streets, side):
        LAND_USES[choose_land_use(rng, style.urbanity, lot)](draft, lot)
    if any(street.bend > 0.0 for street in streets):
        _clear_bent_streets(draft, streets, side)
    lot_mark_count = len(draft.marks)
    paint_surfaces(draft, streets, side)
    for street in streets:
        mark_street(draft, street, streets, side)
    return draft.finished(side, streets, lot_mark_count)


def _clear_bent_streets(draft: MapDraft, streets: tuple[Street, ...], side: float) -> None:
    """Remove buildings, trees and slots that bent streets run through; lots are laid out for straight streets."""
    draft.buildings = [
        b
        for b in draft.buildings
        if b.parent < 0 and _is_clear(streets, side, b.x, b.y, radius=0.5 * max(b.length, b.width))
    ]
    draft.trees = [t for t in draft.trees if _is_clear(streets, side, t.x, t.y, radius=0.3 * t.crown)]
    draft.slots = [s for s in draft.slots if _is_clear(streets, side, s.x, s.y, radius=2.5)]


def _is_clear(streets: tuple[Street, ...], side: float, x: float, y: float, radius: float) -> bool:
    """Whether a circle keeps a metre away from all bent streets."""
    for street in streets:
        along, across = (x, y) if street.axis == 0 else (y, x)
        away = (across - street.offset - street.bend_at(along, side) + side / 2) % side - side / 2
        if street.bend > 0.0 and abs(away) < street.half_width + 1.0 + radius:
            return False
    return True
