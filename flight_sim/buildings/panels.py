"""The textured faces of buildings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from flight_sim.buildings.facades import FACADE_METRES_PER_PIXEL, cloth_tile, facade_tile, hall_tile
from flight_sim.buildings.roofs import ROOF_METRES_PER_PIXEL, flat_roof, tiled_roof
from flight_sim.city_map.elements import AWNING_WALL, FACADES, ROOF_TEXTURES, Building
from flight_sim.textures.pyramid import TexturePyramid, build_pyramid

_AWNING_TINTS = np.array([[1.6, 0.5, 0.45], [0.5, 0.8, 1.5], [1.6, 1.6, 1.55], [0.5, 1.2, 0.7], [1.6, 1.3, 0.5]])
_WINDOW_AXIS = 3.2  # metres between windows in the facade textures
_UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class BuildingTextures:
    """The textures of a scene's buildings: walls (facades, then cloth and sheet metal), pitched and flat roofs."""

    walls: tuple[TexturePyramid, ...]
    pitched_roofs: tuple[TexturePyramid, ...]
    flat_roofs: tuple[TexturePyramid, ...]


@dataclass(frozen=True)
class Panel:
    """A convex face of a building.

    `corners` (N, 3) metres; `normal` (3,) outwards; the coordinates of `texture` are metres along `right` (3,) and `up`
    (3,) from `origin` (3,); `tint` (3,) multiplies the texture's RGB.
    """

    corners: np.ndarray
    normal: np.ndarray
    right: np.ndarray
    up: np.ndarray
    origin: np.ndarray
    texture: TexturePyramid
    tint: np.ndarray


def sample_facades(rng: np.random.Generator) -> tuple[TexturePyramid, ...]:
    """Draw the facades with windows."""
    return tuple(build_pyramid(facade_tile(rng), FACADE_METRES_PER_PIXEL) for _ in range(FACADES))


def complete_textures(rng: np.random.Generator, facades: tuple[TexturePyramid, ...]) -> BuildingTextures:
    """Draw the other textures of the buildings of a scene."""
    others = (build_pyramid(tile, FACADE_METRES_PER_PIXEL) for tile in (cloth_tile(), hall_tile(rng)))
    return BuildingTextures(
        walls=(*facades, *others),
        pitched_roofs=tuple(build_pyramid(tiled_roof(rng), ROOF_METRES_PER_PIXEL) for _ in range(ROOF_TEXTURES)),
        flat_roofs=tuple(build_pyramid(flat_roof(rng), ROOF_METRES_PER_PIXEL) for _ in range(ROOF_TEXTURES)),
    )


def building_panels(rng: np.random.Generator, building: Building, textures: BuildingTextures) -> tuple[Panel, ...]:
    """Walls and roof of a building; textures begin at random positions, so that no two buildings look the same."""
    tint = rng.uniform(0.85, 1.08) * (1.0 + rng.normal(0.0, 0.025, 3))
    walls = _wall_panels(rng, building, textures, tint)
    if building.wall == AWNING_WALL:
        tint = _AWNING_TINTS[rng.integers(len(_AWNING_TINTS))]
    shift = rng.uniform(-20.0, 0.0, 2)
    make_roof = _flat_roof_panels if building.roof == "flat" else _gable_roof_panels
    return (*walls, *make_roof(building, textures, tint, shift))


def _outline(building: Building, height: float) -> np.ndarray:
    """(4, 3) corners of the footprint at a height."""
    return np.concatenate([building.footprint(), np.full((4, 1), height)], axis=1)


def _axes(building: Building) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (3,) along the length and the width of a building."""
    along = np.array([math.cos(building.yaw), math.sin(building.yaw), 0.0])
    return along, np.array([-along[1], along[0], 0.0])


def _ridge_ends(building: Building) -> tuple[np.ndarray, np.ndarray]:
    """The ends (3,) of the ridge: first the one at the rear, then the one at the front."""
    along, _ = _axes(building)
    middle = np.array([building.x, building.y, building.height])
    return middle - building.length / 2 * along, middle + building.length / 2 * along


def _wall_panels(
    rng: np.random.Generator, building: Building, textures: BuildingTextures, tint: np.ndarray
) -> list[Panel]:
    low, high = _outline(building, building.base), _outline(building, building.top)
    rear, front = _ridge_ends(building)
    panels = []
    for a in range(4):
        b = (a + 1) % 4
        corners = [low[a], low[b], high[b], high[a]]
        if building.roof == "gable" and a in (1, 3):
            corners.insert(3, front if a == 1 else rear)
        right = (low[b] - low[a]) / np.linalg.norm(low[b] - low[a])
        panels.append(
            Panel(
                corners=np.array(corners),
                normal=np.array([right[1], -right[0], 0.0]),
                right=right,
                up=_UP,
                origin=low[a] - right * _WINDOW_AXIS * float(rng.integers(0, 4)),
                texture=textures.walls[building.wall],
                tint=tint,
            )
        )
    return panels


def _flat_roof_panels(
    building: Building, textures: BuildingTextures, tint: np.ndarray, shift: np.ndarray
) -> list[Panel]:
    corners = _outline(building, building.top)
    along, across = _axes(building)
    origin = corners[0] + shift[0] * along + shift[1] * across
    return [Panel(corners, _UP, along, across, origin, textures.flat_roofs[building.cover], tint)]


def _gable_roof_panels(
    building: Building, textures: BuildingTextures, tint: np.ndarray, shift: np.ndarray
) -> list[Panel]:
    eaves = _outline(building, building.top)
    rear, front = _ridge_ends(building)
    is_awning = building.wall == AWNING_WALL
    texture = textures.walls[AWNING_WALL] if is_awning else textures.pitched_roofs[building.cover]
    panels = []
    for first, second, end0, end1 in ((0, 1, front, rear), (2, 3, rear, front)):
        right = (eaves[second] - eaves[first]) / np.linalg.norm(eaves[second] - eaves[first])
        slope = (end0 + end1) / 2 - (eaves[first] + eaves[second]) / 2
        up = slope / np.linalg.norm(slope)
        panels.append(
            Panel(
                corners=np.array([eaves[first], eaves[second], end0, end1]),
                normal=np.cross(right, up),
                right=right,
                up=up,
                origin=eaves[first] + shift[0] * right + shift[1] * up,
                texture=texture,
                tint=tint,
            )
        )
    return panels
