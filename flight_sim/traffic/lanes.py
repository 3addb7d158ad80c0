"""Vehicles on the lanes: moving traffic on streets with green lights, queues at the stop lines of the others."""

from __future__ import annotations

import math

from flight_sim.city_map.elements import CityMap
from flight_sim.city_map.place_style import LANE_CLASSES, PlaceStyle
from flight_sim.city_map.streets import Street, free_stretches
from flight_sim.traffic.builder import Placement, PopulationBuilder, placed_at
from flight_sim.traffic.parking import park_two_wheelers


def add_vehicles(builder: PopulationBuilder, street: Street, city: CityMap, style: PlaceStyle) -> None:
    """Add the traffic of a street, and the two-wheelers parked on its pavements."""
    rng, side = builder.rng, city.side
    is_green = street.axis == style.green_axis
    for sign in (-1.0, 1.0):
        for lane in range(street.lanes):
            lateral = sign * street.lane_centre(lane)
            if is_green:
                route = builder.add_street_route(street, side, lateral, street.drives_forward(sign))
                _add_stream(builder, route, style, float(rng.uniform(5.0, 15.0)))
            else:
                for stretch in free_stretches(street, city.streets, side, street.pavement + 7.0):
                    _add_queue(builder, street, side, lateral, stretch, style)
        if is_green:
            _add_two_wheelers(builder, street, side, sign, style)
        if street.pavement >= 1.7:
            park_two_wheelers(builder, street, city, sign, style)


def _add_stream(builder: PopulationBuilder, route: int, style: PlaceStyle, speed: float) -> None:
    """Add the vehicles of one lane, in platoons at one speed."""
    rng = builder.rng
    length = builder.routes[route].length
    mean_gap = 9.0 / max(style.traffic, 0.08)
    rear = first = float(rng.uniform(0.0, 20.0))
    while True:
        kind = LANE_CLASSES[rng.choice(len(LANE_CLASSES), p=style.lane_class_shares)]
        space = builder.length_of(kind)
        if rear + space + 6.0 > length + first - 8.0:
            break
        builder.add_driven(kind, Placement(route=route, start=rear + space / 2, speed=speed))
        rear += space + 4.0 + float(rng.exponential(mean_gap * (0.5 if rng.random() < 0.6 else 3.0)))


def _add_queue(
    builder: PopulationBuilder,
    street: Street,
    side: float,
    lateral: float,
    stretch: tuple[float, float],
    style: PlaceStyle,
) -> None:
    """Add the vehicles that wait at the end of a stretch."""
    rng = builder.rng
    start, stop = stretch
    forward = street.drives_forward(lateral)
    queued = 0.5
    for _ in range(rng.poisson(7.0 * style.traffic)):
        kind = LANE_CLASSES[rng.choice(len(LANE_CLASSES), p=style.lane_class_shares)]
        space = builder.length_of(kind)
        if queued + space > stop - start - 4.0:
            break
        along = stop - queued - space / 2 if forward else start + queued + space / 2
        jittered = lateral + float(rng.normal(0.0, 0.12))
        line = street.line(side, lateral=jittered, start=along, stop=along + 0.5)
        dx, dy = line[1] - line[0]
        yaw = math.atan2(dy, dx) + (0.0 if forward else math.pi)
        builder.add_driven(kind, placed_at(line[0], side, yaw + float(rng.normal(0.0, 0.015))))
        queued += space + float(rng.uniform(1.0, 3.5))


def _add_two_wheelers(builder: PopulationBuilder, street: Street, side: float, sign: float, style: PlaceStyle) -> None:
    """Add bicycles and motorcycles that ride near the kerb."""
    rng = builder.rng
    lateral = sign * (street.lanes_edge - 0.2)
    route = builder.add_street_route(street, side, lateral, street.drives_forward(sign))
    speed = float(rng.uniform(3.5, 7.0))
    start = float(rng.uniform(0.0, 20.0))
    while start < builder.routes[route].length - 6.0:
        kind = "bicycle" if rng.random() < 0.4 else "motor"
        builder.add_driven(kind, Placement(route=route, start=start, speed=speed))
        start += 2.6 + float(rng.exponential(22.0 / max(style.traffic, 0.1)))
