"""People on pavements and in the gatherings of the map."""

from __future__ import annotations

import math

import numpy as np

from flight_sim.city_map.elements import CityMap, Gathering
from flight_sim.city_map.place_style import PlaceStyle
from flight_sim.city_map.streets import Street, free_stretches
from flight_sim.traffic.builder import Placement, PopulationBuilder, placed_at
from flight_sim.traffic.population import STATIONARY

_LARGEST_GATHERING = 260  # people; limits the rendering time


def add_pedestrians(builder: PopulationBuilder, street: Street, city: CityMap, style: PlaceStyle) -> None:
    """Add people on both pavements: walking where the lights are green, standing at corners and stops elsewhere."""
    rng, side = builder.rng, city.side
    if street.pavement < 1.0:
        return
    is_green = street.axis == style.green_axis
    for sign in (-1.0, 1.0):
        lateral = sign * (street.carriageway + 0.55 * street.pavement)
        groups = rng.poisson(side / 16.0 * style.crowds)
        routes = []
        for forward in (True, False):
            for pace in (1.0, 1.4):  # m/s
                offset = sign * rng.uniform(-0.3, 0.3) * street.pavement
                route = builder.add_street_route(street, side, lateral + offset, forward)
                routes.append((route, pace * float(rng.uniform(0.9, 1.1))))
        if is_green:
            _add_walkers(builder, routes, groups, side)
        else:
            for stretch in free_stretches(street, city.streets, side, street.pavement + 1.0):
                _add_waiting(builder, street, side, lateral, stretch, style)


def _add_walkers(builder: PopulationBuilder, routes: list[tuple[int, float]], groups: int, side: float) -> None:
    """Add groups that walk one behind the other; `routes`: (index, speed in m/s)."""
    rng = builder.rng
    for _ in range(groups):
        route, speed = routes[rng.integers(len(routes))]
        start = float(rng.uniform(0.0, side))
        for _ in range(1 + rng.geometric(0.5)):
            builder.add("pedestrian", Placement(route=route, start=start, speed=speed))
            start += float(rng.uniform(0.5, 1.4))


def _add_waiting(
    builder: PopulationBuilder,
    street: Street,
    side: float,
    lateral: float,
    stretch: tuple[float, float],
    style: PlaceStyle,
) -> None:
    """Add groups that stand at the ends of a stretch or somewhere along it."""
    rng = builder.rng
    start, stop = stretch
    for _ in range(rng.poisson(0.03 * (stop - start) * style.crowds + 0.5)):
        middle = float(rng.choice([start, stop, rng.uniform(start, stop)]))
        for _ in range(1 + rng.geometric(0.35)):
            along = middle + float(rng.normal(0.0, 1.3))
            jittered = lateral + float(rng.normal(0.0, 0.2 * street.pavement))
            point = street.point(side, lateral=jittered, along=along)
            builder.add("pedestrian", placed_at(point, side, float(rng.uniform(-math.pi, math.pi))))


def add_gathering(builder: PopulationBuilder, gathering: Gathering) -> None:
    """Add the clusters of a gathering: most stand and face each other, some stroll in circles, some sit or lie."""
    rng = builder.rng
    x0, y0, x1, y1 = gathering.area
    if x1 <= x0 or y1 <= y0:
        return
    left = int(min(rng.poisson(gathering.count), _LARGEST_GATHERING))
    while left > 0:
        centre = rng.uniform((x0, y0), (x1, y1))
        count = min(left, 1 + int(rng.geometric(0.25)))
        left -= count
        is_resting = rng.random() < gathering.seated
        is_strolling = not is_resting and rng.random() < 0.4
        route = _add_circle(builder, gathering, centre) if is_strolling else STATIONARY
        spread = 0.5 + 0.28 * math.sqrt(count)
        speed = float(rng.uniform(0.8, 1.4))
        for k in range(count):
            x, y = np.clip(centre + rng.normal(0.0, spread, 2), (x0, y0), (x1, y1))
            if is_strolling:
                start = 0.8 * k + float(rng.uniform(0, 0.5))
                builder.add("pedestrian", Placement(float(x), float(y), route=route, start=start, speed=speed))
            else:
                yaw = math.atan2(centre[1] - y, centre[0] - x) + float(rng.normal(0.0, 0.5))
                kind = str(rng.choice(["sitting", "sitting", "lying"])) if is_resting else "pedestrian"
                builder.add(kind, Placement(float(x), float(y), yaw))


def _add_circle(builder: PopulationBuilder, gathering: Gathering, centre: np.ndarray) -> int:
    """Add a circular route within a gathering's area, near `centre` (2,); returns its index."""
    rng = builder.rng
    x0, y0, x1, y1 = gathering.area
    angle = np.arange(25) * 2 * np.pi / 24 * rng.choice([-1.0, 1.0])
    radius = min(rng.uniform(2.0, 9.0), 0.5 * (x1 - x0), 0.5 * (y1 - y0))
    middle = np.clip(centre, (x0 + radius, y0 + radius), (x1 - radius, y1 - radius))
    circle = middle + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return builder.add_route(circle, (0.0, 0.0))
