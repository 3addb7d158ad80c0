"""The shadows of buildings and trees on the ground."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from flight_sim.city_map.elements import Building, CityMap, Tree
from flight_sim.subpixel import SUBPIXEL_BITS, fixed_point


def static_shade(city: CityMap, size: int, metres_per_pixel: float, sun: np.ndarray) -> np.ndarray:
    """(size, size) uint8, periodic: 255 where buildings or trees block the sun; `sun` (3,) points to the sun."""
    throw = -sun[:2] / sun[2]  # metres by which a shadow moves for each metre of height
    outlines = [_building_shadow(b, throw) for b in city.buildings if b.parent < 0]
    outlines += [_crown_shadow(tree, throw) for tree in city.trees]
    shade = np.zeros((size, size), np.uint8)
    for outline in outlines:
        low, high = outline.min(axis=0), outline.max(axis=0)
        for dx in (-city.side, 0.0, city.side):
            for dy in (-city.side, 0.0, city.side):
                if low[0] + dx < city.side and high[0] + dx > 0 and low[1] + dy < city.side and high[1] + dy > 0:
                    points = fixed_point((outline + np.array([dx, dy])) / metres_per_pixel - 0.5)
                    cv2.fillPoly(shade, [points], 255, cv2.LINE_AA, SUBPIXEL_BITS)
    return shade


def _building_shadow(building: Building, throw: np.ndarray) -> np.ndarray:
    """Outline (N, 2) of a building's footprint and shadow; a gable counts with 60 % of its height."""
    height = building.height if building.roof == "flat" else building.top + 0.6 * building.ridge
    footprint = building.footprint()
    return _hull(np.concatenate([footprint, footprint + throw * height]))


def _crown_shadow(tree: Tree, throw: np.ndarray) -> np.ndarray:
    """Outline (N, 2) of the shadow of a tree's crown, made of three lumpy rings."""
    angle = np.arange(14) * 2 * np.pi / 14
    radius = 0.5 * tree.crown * (0.88 + 0.14 * np.sin(3.0 * angle + tree.x) * np.cos(5.0 * angle + tree.y))
    ring = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    rings = [ring * scale + throw * tree.height * z for scale, z in ((0.7, 0.36), (1.0, 0.62), (0.7, 0.9))]
    return _hull(np.concatenate(rings) + np.array([tree.x, tree.y]))


def _hull(points: np.ndarray) -> np.ndarray:
    """The convex hull (M, 2) float64 of points (N, 2)."""
    return cv2.convexHull(points.astype(np.float32))[:, 0].astype(np.float64)


def is_shaded(shade: np.ndarray, side: float, points: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
    """(N,) bool: whether ground points (N, 2) in metres lie in a shadow of `shade`, which covers `side` metres."""
    size = shade.shape[0]
    index = np.floor(np.mod(np.asarray(points, np.float64), side) * (size / side)).astype(int) % size
    return shade[index[:, 1], index[:, 0]] > 127
