"""Which land use a lot gets."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from flight_sim.city_map.elements import Rectangle
from flight_sim.map_generation import green, residential, urban
from flight_sim.map_generation.draft import MapDraft

LAND_USES: dict[str, Callable[[MapDraft, Rectangle], None]] = {
    "field": green.fill_field,
    "meadow": green.fill_meadow,
    "houses": residential.fill_houses,
    "perimeter": residential.fill_perimeter_block,
    "towers": residential.fill_towers,
    "car_park": urban.fill_car_park,
    "square": urban.fill_square,
    "market": urban.fill_market,
    "park": green.fill_park,
    "industry": urban.fill_industry,
    "water": green.fill_lake,
    "sports": green.fill_sports_ground,
}
_SMALLEST_BLOCK = 28.0  # metres; shorter lots are too small for the uses below
_NEEDS_SPACE = ("perimeter", "towers", "industry")


def choose_land_use(rng: np.random.Generator, urbanity: float, lot: Rectangle) -> str:
    """Draw the land use of a lot, a key of LAND_USES; its weights depend on the urbanity (empirical)."""
    u = urbanity
    weights = {
        "field": max(0.0, 0.7 - 2.0 * u) * 3.0,
        "meadow": max(0.05, 0.5 - u),
        "houses": 1.4 * math.exp(-(((u - 0.42) / 0.22) ** 2)),
        "perimeter": 1.6 * u**2,
        "towers": max(0.0, u - 0.3),
        "car_park": 0.05 + 0.5 * u,
        "square": max(0.0, u - 0.15) * 0.65,
        "market": 0.05 + 0.3 * u,
        "park": 0.15 + 0.25 * u,
        "industry": 0.55 * math.exp(-(((u - 0.55) / 0.2) ** 2)),
        "water": 0.1,
        "sports": 0.12,
    }
    x0, y0, x1, y1 = lot
    if min(x1 - x0, y1 - y0) < _SMALLEST_BLOCK:
        weights |= dict.fromkeys(_NEEDS_SPACE, 0.0)
    chances = np.array(list(weights.values()))
    return list(weights)[int(rng.choice(len(chances), p=chances / chances.sum()))]
