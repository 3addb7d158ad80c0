"""Parked vehicles: on the slots of the map, and two-wheelers on pavements."""

from __future__ import annotations

import math

from flight_sim.city_map.elements import CityMap
from flight_sim.city_map.place_style import PlaceStyle
from flight_sim.city_map.streets import Street, free_stretches
from flight_sim.traffic.builder import Placement, PopulationBuilder, placed_at

# Classes and their shares by the kind of a parking slot; empirical.
_SLOT_CLASSES = {
    "kerb": (("car", "van", "truck", "tricycle", "awning-tricycle"), (0.78, 0.12, 0.02, 0.04, 0.04)),
    "home": (("car", "van"), (0.88, 0.12)),
    "car": (("car", "van"), (0.9, 0.1)),
    "truck": (("truck", "van", "bus", "car"), (0.6, 0.12, 0.2, 0.08)),
    "cart": (("tricycle", "awning-tricycle", "motor", "bicycle"), (0.32, 0.38, 0.18, 0.12)),
}


def fill_slots(builder: PopulationBuilder, city: CityMap) -> None:
    """Park vehicles on the slots of a map."""
    rng = builder.rng
    for slot in city.slots:
        if rng.random() < slot.occupancy:
            kinds, shares = _SLOT_CLASSES[slot.kind]
            x, y = rng.normal((slot.x, slot.y), 0.12)
            kind = str(rng.choice(kinds, p=shares))
            builder.add(kind, Placement(float(x), float(y), slot.yaw + float(rng.normal(0.0, 0.03))))


def park_two_wheelers(
    builder: PopulationBuilder, street: Street, city: CityMap, sign: float, style: PlaceStyle
) -> None:
    """Park rows of bicycles or motorcycles on one pavement of a street (`sign` of its lateral)."""
    rng, side = builder.rng, city.side
    for start, stop in free_stretches(street, city.streets, side, street.pavement + 9.0):
        if rng.random() > 0.3 + 0.5 * style.crowds or stop - start < 25.0:
            continue
        along = float(rng.uniform(start, stop - 20.0))
        kind = "bicycle" if rng.random() < 0.5 else "motor"
        for _ in range(int(rng.integers(3, 16))):
            point = street.point(side, lateral=sign * (street.carriageway + 1.1), along=along)
            yaw = (math.pi / 2 if street.axis == 0 else 0.0) + float(rng.normal(0.25, 0.12))
            if rng.random() < 0.85:
                builder.add(kind, placed_at(point, side, yaw + math.pi * float(rng.random() < 0.1)))
            along += float(rng.uniform(0.6, 0.9))
            if along > stop:
                break
