"""A scene: a periodic piece of the world with ground, buildings, trees, and objects that move."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from flight_sim.buildings.panels import Panel, building_panels, complete_textures, sample_facades
from flight_sim.city_map.elements import CityMap
from flight_sim.city_map.place_style import PlaceStyle, sample_style
from flight_sim.ground.raster import GroundRaster, paint_ground
from flight_sim.map_generation.generate import generate_map
from flight_sim.textures.ground_materials import ground_materials, relief_tile
from flight_sim.textures.photo_mosaic import photo_mosaic
from flight_sim.textures.pyramid import TexturePyramid, build_pyramid
from flight_sim.traffic.populate import populate
from flight_sim.traffic.population import Population

_RELIEF_METRES = 20.48  # side of the relief's tile, about: a whole number of tiles fits into the scene


@dataclass(frozen=True)
class SceneOptions:
    """How scenes are made. The world repeats after `side` metres in x and y.

    `metres_per_pixel`: resolution of the ground; `height_limit`: largest height of buildings and trees in metres;
    `urbanity`: 0 farmland to 1 city centre, negative to draw it from the seed. `photographs`: a folder of images that
    replace the painted ground, at `photograph_metres_per_pixel`; empty for painted ground. `built`: whether there are
    streets, buildings and objects.
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

    `relief` is detail of the ground finer than its raster; `panels` are the faces of each building of the map; `sun`
    (3,) is the unit vector to the sun.
    """

    seed: int
    style: PlaceStyle
    city: CityMap
    population: Population
    ground: GroundRaster
    relief: TexturePyramid
    panels: tuple[tuple[Panel, ...], ...]
    sun: np.ndarray

    @property
    def side(self) -> float:
        """Period of the world in metres."""
        return self.city.side

    @property
    def tallest(self) -> float:
        """Height in metres of the highest building or tree; 0 without any."""
        heights = [*(building.height for building in self.city.buildings), *(tree.height for tree in self.city.trees)]
        return max(heights, default=0.0)


def build_scene(seed: int, options: SceneOptions | None = None) -> Scene:
    """Build the scene of a seed: about a second, 100 MB; the same seed and options give the same scene.

    Raises ValueError for a folder without readable photographs.
    """
    options = options or SceneOptions()
    # All parts draw from one generator, so their order is part of what a seed means.
    rng = np.random.default_rng([seed, 1])
    style = sample_style(rng, options.height_limit, options.urbanity if options.urbanity >= 0 else None)
    city = generate_map(rng, style, options.side, options.built)
    sun = _sun_direction(style)
    materials = ground_materials(rng)
    photographs = _photographs(rng, options) if options.photographs else None
    ground = paint_ground(rng, city, materials, options.metres_per_pixel, sun, style.shadow_strength, photographs)
    facades = sample_facades(rng)
    relief = relief_tile(rng)
    relief_metres = options.side / max(round(options.side / _RELIEF_METRES), 1)
    textures = complete_textures(rng, facades)
    population = populate(rng, city, style)
    return Scene(
        seed=seed,
        style=style,
        city=city,
        population=population,
        ground=ground,
        relief=build_pyramid(relief, relief_metres / relief.shape[0]),
        panels=tuple(building_panels(rng, building, textures) for building in city.buildings),
        sun=sun,
    )


def _sun_direction(style: PlaceStyle) -> np.ndarray:
    """The unit vector (3,) to the sun."""
    elevation, azimuth = math.radians(style.sun_elevation_deg), math.radians(style.sun_azimuth_deg)
    return np.array(
        [math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth), math.sin(elevation)]
    )


def _photographs(rng: np.random.Generator, options: SceneOptions) -> np.ndarray:
    """The ground (S, S, 3) of the photographs."""
    size = round(options.side / options.metres_per_pixel)
    return photo_mosaic(
        rng,
        options.photographs,
        size,
        metres_per_pixel=options.metres_per_pixel,
        photo_metres_per_pixel=options.photograph_metres_per_pixel,
    )
