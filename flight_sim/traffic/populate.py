"""Fills a map with vehicles and people."""

from __future__ import annotations

import numpy as np

from flight_sim.city_map.elements import CityMap
from flight_sim.city_map.place_style import PlaceStyle
from flight_sim.traffic.builder import PopulationBuilder
from flight_sim.traffic.lanes import add_vehicles
from flight_sim.traffic.parking import fill_slots
from flight_sim.traffic.pedestrians import add_gathering, add_pedestrians
from flight_sim.traffic.population import Population


def populate(rng: np.random.Generator, city: CityMap, style: PlaceStyle) -> Population:
    """Fill the streets, parking slots and gatherings of a map."""
    builder = PopulationBuilder(rng)
    for street in city.streets:
        add_vehicles(builder, street, city, style)
        add_pedestrians(builder, street, city, style)
    fill_slots(builder, city)
    for gathering in city.gatherings:
        add_gathering(builder, gathering)
    return builder.build()
