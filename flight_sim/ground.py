"""Painting a map into the ground raster: materials, markings, wear, and the shadows of what never moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from flight_sim.city_map.elements import CityMap, Stroke, Tree
from flight_sim.pyramid import Pyramid, build_pyramid
from flight_sim.textures import Material, spectral_noise

_SHIFT = 4
_COARSE = 4


@dataclass(frozen=True)
class Ground:
    """The ground: its colours, how strongly fine relief shows (same extent, coarser), and the share of sun that is
    blocked (likewise).
    """

    colour: Pyramid
    roughness: Pyramid
    shade: np.ndarray


def paint_ground(
    rng: np.random.Generator,
    city: CityMap,
    materials: dict[str, Material],
    metres_per_pixel: float,
    sun: np.ndarray,
    shadow_strength: float,
    photographs: np.ndarray | None = None,
) -> Ground:
    """Paint the ground of a map.

    `sun` (3,) points to the sun. `photographs` (S, S, 3) uint8, if given, takes the place of the materials of the lots.
    """
    size = round(city.side / metres_per_pixel)
    raster = photographs.copy() if photographs is not None else _tiled(materials["grass"].tile, (0, 0, size, size))
    roughness = np.full((size // _COARSE, size // _COARSE), 255, np.uint8)
    for mark in (*(city.lot_marks if photographs is None else ()), *city.road_marks):
        if isinstance(mark, Stroke):
            _draw_stroke(raster, mark, metres_per_pixel)
            continue
        material = materials[mark.material]
        _fill(raster, mark.polygon / metres_per_pixel - 0.5, material.tile)
        points = _fixed(mark.polygon / (metres_per_pixel * _COARSE) - 0.5)
        cv2.fillPoly(roughness, [points], int(255 * material.roughness), cv2.LINE_8, _SHIFT)
    if photographs is None:
        _litter(rng, raster, metres_per_pixel)
    _wear(rng, raster, city, metres_per_pixel)
    shade = _static_shade(city, size // _COARSE, metres_per_pixel * _COARSE, sun)
    raster = _lit(rng, raster, shade, shadow_strength, flat=photographs is not None)
    return Ground(build_pyramid(raster, metres_per_pixel), build_pyramid(roughness, metres_per_pixel * _COARSE), shade)


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(points * (1 << _SHIFT)).astype(np.int32)


def _tiled(tile: np.ndarray, window: tuple[int, int, int, int]) -> np.ndarray:
    """The endless tiling of `tile` seen through (x0, y0, x1, y1)."""
    x0, y0, x1, y1 = window
    height, width = tile.shape[:2]
    repeats = ((y1 - y0 + height - 1) // height + 1, (x1 - x0 + width - 1) // width + 1)
    big = np.tile(tile, (*repeats, 1))
    return big[y0 % height :][: y1 - y0, x0 % width :][:, : x1 - x0].copy()


def _fill(raster: np.ndarray, polygon: np.ndarray, tile: np.ndarray) -> None:
    """Fill a polygon (pixels) of the raster with a tiled texture."""
    size = raster.shape[0]
    x0, y0 = np.clip(np.floor(polygon.min(axis=0)).astype(int), 0, size)
    x1, y1 = np.clip(np.ceil(polygon.max(axis=0)).astype(int) + 1, 0, size)
    if x1 <= x0 or y1 <= y0:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillPoly(mask, [_fixed(polygon - [x0, y0])], 255, cv2.LINE_8, _SHIFT)
    cv2.copyTo(_tiled(tile, (x0, y0, x1, y1)), mask, raster[y0:y1, x0:x1])


def _draw_stroke(raster: np.ndarray, stroke: Stroke, metres_per_pixel: float) -> None:
    """Draw a stroke as filled quadrilaterals, one a segment or dash, with smooth edges."""
    pieces = (
        _dashes(stroke.points, *stroke.dash)
        if stroke.dash
        else np.stack([stroke.points[:-1], stroke.points[1:]], axis=1)
    )
    if len(pieces) == 0:
        return
    if stroke.width > 0.8 and len(stroke.points) > 2:
        thickness = max(round(stroke.width / metres_per_pixel), 1)
        points = _fixed(stroke.points / metres_per_pixel - 0.5)
        cv2.polylines(raster, [points], False, stroke.colour, thickness, cv2.LINE_AA, _SHIFT)
        return
    direction = pieces[:, 1] - pieces[:, 0]
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-9)
    across = np.stack([-direction[:, 1], direction[:, 0]], axis=1) * stroke.width / 2
    quads = np.stack(
        [pieces[:, 0] + across, pieces[:, 1] + across, pieces[:, 1] - across, pieces[:, 0] - across], axis=1
    )
    for quad in _fixed(quads / metres_per_pixel - 0.5):
        cv2.fillConvexPoly(raster, quad, stroke.colour, cv2.LINE_AA, _SHIFT)


def _dashes(points: np.ndarray, on: float, off: float) -> np.ndarray:
    """(N, 2, 2) ends of the dashes along a polyline."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    travelled = np.concatenate([[0.0], np.cumsum(steps)])
    starts = np.arange(0.0, max(travelled[-1] - on, 0.0), on + off)
    return np.stack(
        [np.stack([np.interp(s, travelled, points[:, k]) for k in (0, 1)], axis=1) for s in (starts, starts + on)],
        axis=1,
    )


def _wear(rng: np.random.Generator, raster: np.ndarray, city: CityMap, metres_per_pixel: float) -> None:
    """Repairs, cracks, stains, covers and wheel tracks on the streets: landmarks for a matcher."""
    layer: list[tuple[np.ndarray, float, float]] = []
    for street in city.streets:
        half = street.carriageway
        for sign in (-1.0, 1.0):
            for lane in range(street.lanes):
                middle = street.lane_centre(lane)
                for track in (-0.8, 0.8):
                    layer.append(
                        (street.line(city.side, lateral=sign * (middle + track), start=0.0, stop=city.side), 0.55, 0.94)
                    )
        for _ in range(int(city.side / 3.0)):
            s, lateral = rng.uniform(0.0, city.side), rng.uniform(-half, half)
            kind = rng.random()
            if kind < 0.4:
                start = street.line(city.side, lateral=lateral, start=s, stop=s + 0.1)[0]
                crack = start + np.cumsum(rng.normal(0.0, 0.6, (8, 2)) + rng.normal(0.0, 0.5, 2), axis=0)
                layer.append((crack, 0.09, 0.72))
            elif kind < 0.7:
                length = rng.uniform(0.6, 7.0)
                layer.append(
                    (
                        street.line(city.side, lateral=lateral, start=s, stop=s + length),
                        rng.uniform(0.4, 1.8),
                        rng.choice([0.8, 0.88, 1.12]),
                    )
                )
            else:
                layer.append(
                    (street.line(city.side, lateral=lateral, start=s, stop=s + 0.65), 0.65, rng.choice([0.62, 0.75]))
                )
    size = raster.shape[0]
    for points, width, factor in layer:
        pixels = points / metres_per_pixel - 0.5
        margin = int(width / metres_per_pixel) + 2
        x0, y0 = np.clip(np.floor(pixels.min(axis=0)).astype(int) - margin, 0, size)
        x1, y1 = np.clip(np.ceil(pixels.max(axis=0)).astype(int) + margin, 0, size)
        if x1 <= x0 or y1 <= y0:
            continue
        window = raster[y0:y1, x0:x1]
        mask = np.zeros(window.shape[:2], np.uint8)
        thickness = max(round(width / metres_per_pixel), 1)
        cv2.polylines(mask, [_fixed(pixels - [x0, y0])], False, 255, thickness, cv2.LINE_8, _SHIFT)
        cv2.copyTo(cv2.convertScaleAbs(window, alpha=float(factor)), mask, window)


def _litter(rng: np.random.Generator, raster: np.ndarray, metres_per_pixel: float) -> None:
    """Small things that lie about everywhere, in groups: stains, leaves, stones, shrubs, covers; landmarks for a
    matcher.
    """
    size = raster.shape[0]
    centres = rng.uniform(0.0, size, (300, 2))
    places = np.concatenate(
        [rng.uniform(0.0, size, (1500, 2)), (centres[:, None] + rng.normal(0, 25, (300, 8, 2))).reshape(-1, 2)]
    )
    radii = np.minimum(np.exp(rng.normal(math.log(0.22), 0.55, len(places))), 0.7) / metres_per_pixel
    factors = rng.choice([0.5, 0.68, 0.8, 1.25, 1.5], len(places), p=[0.2, 0.3, 0.25, 0.15, 0.1])
    tints = factors[:, None] * (1.0 + rng.normal(0.0, 0.06, (len(places), 3)))
    angles = np.sort(rng.uniform(0.0, 2.0 * np.pi, (len(places), 7)), axis=1)
    rings = radii[:, None, None] * np.stack(
        [np.cos(angles), rng.uniform(0.4, 1.0, (len(places), 1)) * np.sin(angles)], axis=2
    )
    for place, ring, tint in zip(places, rings, tints, strict=True):
        x, y = np.clip(place, 0, size - 1).astype(int)
        colour = np.clip(raster[y, x] * tint, 0, 255).tolist()
        cv2.fillConvexPoly(raster, _fixed(place + ring), colour, cv2.LINE_AA, _SHIFT)


def _static_shade(city: CityMap, size: int, metres_per_pixel: float, sun: np.ndarray) -> np.ndarray:
    """(size, size) uint8: 255 where buildings or trees keep the sun from the ground; periodic."""
    throw = -sun[:2] / sun[2]
    outlines = [
        _cast(b.footprint(), b.height if b.roof == "flat" else b.top + 0.6 * b.ridge, throw)
        for b in city.buildings
        if b.parent < 0
    ]
    outlines += [_crown(tree, throw) for tree in city.trees]
    shade = np.zeros((size, size), np.uint8)
    for outline in outlines:
        low, high = outline.min(axis=0), outline.max(axis=0)
        for dx in (-city.side, 0.0, city.side):
            for dy in (-city.side, 0.0, city.side):
                if low[0] + dx < city.side and high[0] + dx > 0 and low[1] + dy < city.side and high[1] + dy > 0:
                    points = _fixed((outline + np.array([dx, dy])) / metres_per_pixel - 0.5)
                    cv2.fillPoly(shade, [points], 255, cv2.LINE_AA, _SHIFT)
    return shade


def _cast(footprint: np.ndarray, height: float, throw: np.ndarray) -> np.ndarray:
    points = np.concatenate([footprint, footprint + throw * height]).astype(np.float32)
    return cv2.convexHull(points)[:, 0].astype(np.float64)


def _crown(tree: Tree, throw: np.ndarray) -> np.ndarray:
    """A lumpy outline of a tree's crown, cast on the ground."""
    angle = np.arange(14) * 2 * np.pi / 14
    lump = 0.5 * tree.crown * (0.88 + 0.14 * np.sin(3.0 * angle + tree.x) * np.cos(5.0 * angle + tree.y))
    ring = np.stack([lump * np.cos(angle), lump * np.sin(angle)], axis=1)
    rings = [ring * scale + throw * tree.height * z for scale, z in ((0.7, 0.36), (1.0, 0.62), (0.7, 0.9))]
    points = (np.concatenate(rings) + np.array([tree.x, tree.y])).astype(np.float32)
    return cv2.convexHull(points)[:, 0].astype(np.float64)


def _lit(rng: np.random.Generator, raster: np.ndarray, shade: np.ndarray, strength: float, flat: bool) -> np.ndarray:
    """The raster with slow changes of tone (unless `flat`) and with shadows."""
    size = raster.shape[0]
    tone = np.ones((1024, 1024), np.float32)
    if not flat:
        tone += 0.05 * spectral_noise(rng, 1024, 1.5) + 0.025 * spectral_noise(rng, 1024, 0.6)
    light = 1.0 - strength * cv2.GaussianBlur(shade, (3, 3), 0.0).astype(np.float32) / 255.0
    bluish = np.array([1.0, 1.0, 1.0]) + strength * np.array([-0.04, 0.0, 0.08])
    tone_full = cv2.resize(np.clip(tone * 128.0, 0, 255).astype(np.uint8), (size, size), interpolation=cv2.INTER_LINEAR)
    raster = cv2.multiply(raster, cv2.merge([tone_full] * 3), scale=1.0 / 128.0)
    channels = [np.clip(255.0 * np.where(light < 1.0, light * blue, 1.0), 0, 255).astype(np.uint8) for blue in bluish]
    light_full = cv2.resize(cv2.merge(channels), (size, size), interpolation=cv2.INTER_LINEAR)
    return cv2.multiply(raster, light_full, scale=1.0 / 255.0)


def shaded_at(shade: np.ndarray, side: float, points: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
    """(N,) bool: whether ground points (N, 2) in metres lie in the shadow of buildings or trees."""
    size = shade.shape[0]
    index = np.floor(np.mod(np.asarray(points, np.float64), side) * (size / side)).astype(int) % size
    return shade[index[:, 1], index[:, 0]] > 127
