"""Objects and their motion."""

import numpy as np
import pytest

from flight_sim.city_map.elements import CityMap
from flight_sim.city_map.place_style import sample_style
from flight_sim.city_map.streets import LANE_WIDTH
from flight_sim.classes import CLASS_NAMES
from flight_sim.map_generation.generate import generate_map
from flight_sim.traffic.populate import populate
from flight_sim.traffic.population import STATIONARY, Population, route_along

SIDE = 320.0


@pytest.fixture(scope="module")
def town() -> tuple[CityMap, Population]:
    rng = np.random.default_rng(2)
    style = sample_style(rng, 40.0, 0.75)
    city = generate_map(rng, style, SIDE)
    return city, populate(rng, city, style)


def test_all_ten_classes_occur(town: tuple[CityMap, Population]) -> None:
    counts = np.bincount(town[1].class_ids, minlength=10)
    assert (counts > 0).all(), dict(zip(CLASS_NAMES, counts, strict=True))


def test_velocity_is_speed_along_the_heading(town: tuple[CityMap, Population]) -> None:
    population = town[1]
    (before, _), (_, yaw), (after, _) = (population.at(t) for t in (9.99, 10.0, 10.01))
    velocity = (after - before) / 0.02
    # People on circular routes turn while they walk.
    on_lanes = (population.route_index != STATIONARY) & (population.speed > 3.0)
    expected = population.speed[:, None] * np.column_stack([np.cos(yaw), np.sin(yaw)])
    np.testing.assert_allclose(velocity[on_lanes], expected[on_lanes], atol=1e-6)
    assert np.abs(velocity[population.route_index == STATIONARY]).max() == 0.0


def test_vehicles_keep_to_the_right_lane(town: tuple[CityMap, Population]) -> None:
    """The middle of its street is at the left of a moving vehicle, a few lanes away."""
    city, population = town
    vehicles = np.flatnonzero((population.speed > 3.0) & np.isin(population.class_ids, [3, 4, 5, 8]))
    assert len(vehicles) > 5
    for stamp in (0.0, 7.3, 61.0):
        position, yaw = population.at(stamp)
        for k in vehicles:
            heading = np.array([np.cos(yaw[k]), np.sin(yaw[k])])
            axis = int(abs(heading[1]) > abs(heading[0]))
            left = np.array([-heading[1], heading[0]])[1 - axis]
            offsets = [
                left * ((street.offset - position[k, 1 - axis] + SIDE / 2) % SIDE - SIDE / 2)
                for street in city.streets
                if street.axis == axis
            ]
            nearest = min(offsets, key=abs)
            assert 0.3 * LANE_WIDTH < nearest < 4 * LANE_WIDTH


def test_vehicles_of_one_lane_never_collide(town: tuple[CityMap, Population]) -> None:
    population = town[1]
    lengths = np.array([mesh.size[0] for mesh in population.meshes])[population.mesh_index] * population.scale
    for route in np.unique(
        population.route_index[(population.speed > 3.0) & np.isin(population.class_ids, [3, 4, 5, 8])]
    ):
        members = np.flatnonzero((population.route_index == route) & np.isin(population.class_ids, [3, 4, 5, 8]))
        assert len(np.unique(population.speed[members])) == 1
        order = members[np.argsort(population.start[members])]
        gaps = np.diff(np.append(population.start[order], population.start[order[0]] + population.routes[route].length))
        needed = (lengths[order] + np.roll(lengths[order], -1)) / 2
        assert (gaps > needed).all()


def test_a_route_continues_in_the_next_copy_of_the_scene() -> None:
    route = route_along(np.array([[0.0, 5.0], [30.0, 5.0], [100.0, 5.0]]), (100.0, 0.0))
    position, heading = route.at(np.array([10.0, 110.0, 350.0, -10.0]))
    np.testing.assert_allclose(position, [[10, 5], [110, 5], [350, 5], [-10, 5]])
    np.testing.assert_allclose(heading, 0.0)


def test_riders_are_people_and_move_with_their_vehicles(town: tuple[CityMap, Population]) -> None:
    population = town[1]
    people = np.flatnonzero((population.class_ids == CLASS_NAMES.index("people")) & (population.speed > 3.0))
    assert len(people) > 0
    for k in people:
        same = (population.route_index == population.route_index[k]) & (population.start == population.start[k])
        assert {CLASS_NAMES[c] for c in population.class_ids[same]} & {"bicycle", "motor", "tricycle"}
