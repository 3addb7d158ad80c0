"""A scene: a periodic piece of the world with ground, buildings, trees, and objects that move."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from flight_sim.city_map.elements import CityMap
from flight_sim.city_map.generation import draw_map
from flight_sim.city_map.place_style import PlaceStyle, sample_style
from flight_sim.facades import Panel, building_panels
from flight_sim.ground import Ground, paint_ground
from flight_sim.pyramid import Pyramid, build_pyramid
from flight_sim.textures import (
    facade_tile,
    flat_roof,
    ground_materials,
    hall_tile,
    photo_mosaic,
    relief_tile,
    tiled_roof,
)
from flight_sim.traffic.populate import populate
from flight_sim.traffic.population import Population

FACADE_METRES_PER_PIXEL = 0.05
ROOF_METRES_PER_PIXEL = 0.08
RELIEF_METRES = 20.48


@dataclass(frozen=True)
class SceneOptions:
    """How scenes are made. The world repeats after `side` metres in x and y.

    `height_limit`: no building or tree is higher, in metres. `urbanity`: 0 farmland to 1 city centre, negative: drawn
    from the seed. `photographs`: a folder of images that become the ground of the lots, at
    `photograph_metres_per_pixel`; empty: procedural ground. `built`: whether there are streets, buildings and objects
    at all.
    """

    side: float = 327.68
    metres_per_pixel: float = 0.08
    height_limit: float = 45.0
    urbanity: float = -1.0
    photographs: str = ""
    photograph_metres_per_pixel: float = 0.05
    built: bool = True


@dataclass(frozen=True)
class Scene:
    """A seeded scene. World: ENU, metres, ground at z = 0, periodic in x and y with `city.side`.

    `sun` (3,) is the unit vector to the sun. `relief` is fine detail of the ground below its raster's resolution.
    `panels` are the faces of each building of the map.
    """

    seed: int
    style: PlaceStyle
    city: CityMap
    population: Population
    ground: Ground
    relief: Pyramid
    panels: tuple[tuple[Panel, ...], ...]
    sun: np.ndarray

    @property
    def side(self) -> float:
        """Period of the world in metres."""
        return self.city.side


def build_scene(seed: int, options: SceneOptions | None = None) -> Scene:
    """Build the scene of a seed: about a second, 100 MB; the same seed and options give the same scene.

    Raises ValueError for a folder without readable photographs.
    """
    options = options or SceneOptions()
    rng = np.random.default_rng([seed, 1])
    style = sample_style(rng, options.height_limit, options.urbanity if options.urbanity >= 0 else None)
    city = draw_map(rng, style, options.side, options.built)
    materials = ground_materials(rng)
    elevation, azimuth = math.radians(style.sun_elevation_deg), math.radians(style.sun_azimuth_deg)
    sun = np.array(
        [math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth), math.sin(elevation)]
    )
    photographs = None
    if options.photographs:
        size = round(options.side / options.metres_per_pixel)
        photographs = photo_mosaic(
            rng, options.photographs, size, options.metres_per_pixel, options.photograph_metres_per_pixel
        )
    ground = paint_ground(rng, city, materials, options.metres_per_pixel, sun, style.shadow_strength, photographs)
    facades = [build_pyramid(facade_tile(rng), FACADE_METRES_PER_PIXEL) for _ in range(8)]
    relief = relief_tile(rng)
    relief_tiles = max(round(options.side / RELIEF_METRES), 1)
    cloth = build_pyramid(np.full((64, 64, 3), 120, np.uint8), FACADE_METRES_PER_PIXEL)
    walls = (*facades, cloth, build_pyramid(hall_tile(rng), FACADE_METRES_PER_PIXEL))
    pitched = tuple(build_pyramid(tiled_roof(rng), ROOF_METRES_PER_PIXEL) for _ in range(6))
    flat = tuple(build_pyramid(flat_roof(rng), ROOF_METRES_PER_PIXEL) for _ in range(6))
    return Scene(
        seed,
        style,
        city,
        populate(rng, city, style),
        ground,
        build_pyramid(relief, options.side / relief_tiles / relief.shape[0]),
        tuple(building_panels(rng, building, walls, pitched, flat) for building in city.buildings),
        sun,
    )
