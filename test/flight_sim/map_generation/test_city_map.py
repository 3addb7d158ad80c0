"""The map of a scene: streets, lots and buildings."""

import numpy as np
import pytest

from flight_sim.city_map.elements import CityMap, Patch
from flight_sim.city_map.place_style import PlaceStyle, sample_style
from flight_sim.city_map.streets import LANE_WIDTH, crossings, free_stretches
from flight_sim.map_generation.generate import generate_map

SIDE = 320.0


def city_of(seed: int, urbanity: float, limit: float = 40.0) -> tuple[PlaceStyle, CityMap]:
    rng = np.random.default_rng(seed)
    style = sample_style(rng, limit, urbanity)
    return style, generate_map(rng, style, SIDE)


@pytest.mark.parametrize("urbanity", [0.05, 0.4, 0.7, 0.95])
def test_buildings_stay_off_the_streets_and_below_the_limit(urbanity: float) -> None:
    for seed in range(4):
        style, city = city_of(seed, urbanity, limit=12.0)
        for building in city.buildings:
            assert building.height <= style.height_limit + (2.8 if building.parent >= 0 else 1e-9)
            for street in city.streets:
                across = building.y if street.axis == 0 else building.x
                away = abs((across - street.offset + SIDE / 2) % SIDE - SIDE / 2)
                assert away > street.carriageway - abs(street.bend)


def test_stretches_keep_clear_of_crossings() -> None:
    _, city = city_of(1, 0.8)
    street = city.streets[0]
    at = crossings(street, city.streets, SIDE)
    stretches = free_stretches(street, city.streets, SIDE, gap=5.0)
    assert len(stretches) == len(at) >= 3
    for a, b in stretches:
        for position, half in at:
            for s in np.linspace(a, b, 50):
                assert abs((s - position + SIDE / 2) % SIDE - SIDE / 2) >= half + 5.0 - 1e-6


def test_a_bent_street_continues_in_the_next_copy_of_the_scene() -> None:
    _, city = city_of(3, 0.1)
    for street in city.streets:
        line = street.line(SIDE, lateral=LANE_WIDTH / 2, start=0.0, stop=SIDE)
        step = [SIDE, 0.0] if street.axis == 0 else [0.0, SIDE]
        np.testing.assert_allclose(line[-1] - line[0], step, atol=1e-9)


def test_countryside_and_city_differ() -> None:
    countryside, centre = (sum(len(city_of(seed, u)[1].buildings) for seed in range(5)) for u in (0.05, 0.95))
    assert centre > 3 * countryside


def test_open_ground_has_neither_streets_nor_buildings() -> None:
    rng = np.random.default_rng(0)
    city = generate_map(rng, sample_style(rng, 40.0, 0.5), SIDE, built=False)
    assert not city.streets
    assert not city.buildings
    assert not city.road_marks
    assert [mark.material for mark in city.lot_marks if isinstance(mark, Patch)] == ["grass"]
