"""The raster of the ground of a scene."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from flight_sim.city_map.elements import CityMap, Stroke
from flight_sim.ground.painting import draw_stroke, fill_polygon, tiled
from flight_sim.ground.shade import static_shade
from flight_sim.ground.wear import scatter_litter, wear_streets
from flight_sim.subpixel import SUBPIXEL_BITS, PixelWindow, fixed_point
from flight_sim.textures.ground_materials import Material
from flight_sim.textures.noise import spectral_noise
from flight_sim.textures.pyramid import TexturePyramid, build_pyramid

_COARSE = 4  # pixels of the raster for each of its roughness and shade
_TONE_PX = 1024


@dataclass(frozen=True)
class GroundRaster:
    """The ground, periodic.

    `colour`: RGB with shadows; `roughness`: how strongly fine relief shows, 0 to 255, coarser; `shade` (S, S) uint8:
    255 where the sun is blocked, as coarse as `roughness`.
    """

    colour: TexturePyramid
    roughness: TexturePyramid
    shade: np.ndarray


def paint_ground(
    rng: np.random.Generator,
    city: CityMap,
    materials: dict[str, Material],
    metres_per_pixel: float,
    sun: np.ndarray,
    shadow_strength: float,
    photographs: np.ndarray | None = None,
) -> GroundRaster:
    """Paint the ground of a map.

    `sun` (3,) points to the sun; `photographs` (S, S, 3) uint8, if given, replaces the marks of the lots.
    """
    size = round(city.side / metres_per_pixel)
    coarse_size, coarse_metres = size // _COARSE, metres_per_pixel * _COARSE
    if photographs is None:
        raster, marks = tiled(materials["grass"].tile, PixelWindow(0, 0, size, size)), city.lot_marks + city.road_marks
    else:
        raster, marks = photographs.copy(), city.road_marks
    roughness = np.full((coarse_size, coarse_size), 255, np.uint8)
    for mark in marks:
        if isinstance(mark, Stroke):
            draw_stroke(raster, mark, metres_per_pixel)
            continue
        material = materials[mark.material]
        fill_polygon(raster, mark.polygon / metres_per_pixel - 0.5, material.tile)
        points = fixed_point(mark.polygon / coarse_metres - 0.5)
        cv2.fillPoly(roughness, [points], int(255 * material.roughness), cv2.LINE_8, SUBPIXEL_BITS)
    if photographs is None:
        scatter_litter(rng, raster, metres_per_pixel)
    wear_streets(rng, raster, city, metres_per_pixel)
    shade = static_shade(city, coarse_size, coarse_metres, sun)
    if photographs is None:
        raster = _toned(rng, raster)
    raster = _shadowed(raster, shade, shadow_strength)
    return GroundRaster(build_pyramid(raster, metres_per_pixel), build_pyramid(roughness, coarse_metres), shade)


def _toned(rng: np.random.Generator, raster: np.ndarray) -> np.ndarray:
    """The raster with slow changes of brightness."""
    noise = 0.05 * spectral_noise(rng, _TONE_PX, 1.5) + 0.025 * spectral_noise(rng, _TONE_PX, 0.6)
    tone = np.clip((1.0 + noise) * 128.0, 0, 255).astype(np.uint8)
    full = cv2.resize(tone, raster.shape[:2], interpolation=cv2.INTER_LINEAR)
    return cv2.multiply(raster, cv2.merge([full] * 3), scale=1.0 / 128.0)


def _shadowed(raster: np.ndarray, shade: np.ndarray, strength: float) -> np.ndarray:
    """The raster with shadows that take a share `strength` of the light, and are slightly blue."""
    light = 1.0 - strength * cv2.GaussianBlur(shade, (3, 3), 0.0).astype(np.float32) / 255.0
    bluish = np.array([1.0, 1.0, 1.0]) + strength * np.array([-0.04, 0.0, 0.08])
    channels = [np.clip(255.0 * np.where(light < 1.0, light * blue, 1.0), 0, 255).astype(np.uint8) for blue in bluish]
    full = cv2.resize(cv2.merge(channels), raster.shape[:2], interpolation=cv2.INTER_LINEAR)
    return cv2.multiply(raster, full, scale=1.0 / 255.0)
