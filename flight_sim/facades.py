"""The textured faces of buildings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from flight_sim.city_map.elements import Building
from flight_sim.pyramid import Pyramid


@dataclass(frozen=True)
class Panel:
    """A convex face (N, 3) in metres with its outward normal; texture coordinates run along `right` and `up` from
    `origin`.

    `tint` (3,) multiplies the texture's RGB.
    """

    corners: np.ndarray
    normal: np.ndarray
    right: np.ndarray
    up: np.ndarray
    origin: np.ndarray
    texture: Pyramid
    tint: np.ndarray


def building_panels(
    rng: np.random.Generator,
    building: Building,
    walls: tuple[Pyramid, ...],
    pitched_roofs: tuple[Pyramid, ...],
    flat_roofs: tuple[Pyramid, ...],
) -> tuple[Panel, ...]:
    """Walls and roof of a building; textures begin at random places, so that no two buildings look the same."""
    ring = building.footprint()
    base, top = building.base, building.top
    tint = rng.uniform(0.85, 1.08) * (1.0 + rng.normal(0.0, 0.025, 3))
    along = np.array([math.cos(building.yaw), math.sin(building.yaw), 0.0])
    across = np.array([-along[1], along[0], 0.0])
    apex = [
        np.array([building.x, building.y, building.height]) + sign * building.length / 2 * along for sign in (-1.0, 1.0)
    ]
    low = np.concatenate([ring, np.full((4, 1), base)], axis=1)
    high = np.concatenate([ring, np.full((4, 1), top)], axis=1)
    panels = []
    for k in range(4):
        a, b = k, (k + 1) % 4
        outline = [low[a], low[b], high[b], high[a]]
        if building.roof == "gable" and k in (1, 3):
            outline.insert(3, apex[1] if k == 1 else apex[0])
        right = (low[b] - low[a]) / np.linalg.norm(low[b] - low[a])
        normal = np.array([right[1], -right[0], 0.0])
        start = low[a] - right * 3.2 * float(rng.integers(0, 4))
        panels.append(
            Panel(np.array(outline), normal, right, np.array([0.0, 0.0, 1.0]), start, walls[building.wall], tint)
        )
    if building.wall == 8:  # an awning: bright cloth
        tint = np.array([[1.6, 0.5, 0.45], [0.5, 0.8, 1.5], [1.6, 1.6, 1.55], [0.5, 1.2, 0.7], [1.6, 1.3, 0.5]])[
            rng.integers(5)
        ]
    shift = rng.uniform(-20.0, 0.0, 2)
    if building.roof == "flat":
        origin = high[0] + shift[0] * along + shift[1] * across
        panels.append(Panel(high, np.array([0.0, 0.0, 1.0]), along, across, origin, flat_roofs[building.cover], tint))
        return tuple(panels)
    for first, second, end0, end1 in ((0, 1, apex[1], apex[0]), (2, 3, apex[0], apex[1])):
        corners = np.array([high[first], high[second], end0, end1])
        right = (high[second] - high[first]) / np.linalg.norm(high[second] - high[first])
        middle = (end0 + end1) / 2 - (high[first] + high[second]) / 2
        up = middle / np.linalg.norm(middle)
        origin = high[first] + shift[0] * right + shift[1] * up
        texture = walls[8] if building.wall == 8 else pitched_roofs[building.cover]
        panels.append(Panel(corners, np.cross(right, up), right, up, origin, texture, tint))
    return tuple(panels)
