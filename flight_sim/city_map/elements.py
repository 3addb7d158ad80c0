"""What a map consists of: painted areas and lines, buildings, trees, parking slots, and places with people.

World frame: ENU, metres, ground at z = 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from flight_sim.city_map.streets import Street

Rectangle = tuple[float, float, float, float]  # x0, y0, x1, y1 in metres
FACADES = 8  # wall textures 0 to 7 are facades with windows
AWNING_WALL = 8  # the wall texture of market stalls: bright cloth
HALL_WALL = 9  # the wall texture of industrial halls and containers: sheet metal
ROOF_TEXTURES = 6  # for each of pitched and flat roofs


@dataclass(frozen=True)
class Patch:
    """A polygon (N, 2) in metres filled with a ground material."""

    material: str
    polygon: np.ndarray


@dataclass(frozen=True)
class Stroke:
    """A painted line: points (N, 2) and width in metres, RGB colour, optional dash as (on, off) metres."""

    points: np.ndarray
    width: float
    colour: tuple[int, int, int]
    dash: tuple[float, float] | None = None


@dataclass(frozen=True)
class Building:
    """An upright box over a rectangle centred at (x, y) and turned by `yaw` radians, from height `base` to `top`.

    `roof` is "flat" or "gable", with its ridge `ridge` metres above `top`. `wall` and `cover` are indices of the wall
    and roof textures. `parent`: index of the building on whose roof this one is, -1 if it is on the ground.
    """

    x: float
    y: float
    yaw: float
    length: float
    width: float
    base: float
    top: float
    roof: str
    ridge: float
    wall: int
    cover: int
    parent: int = -1

    @property
    def height(self) -> float:
        """Highest point in metres."""
        return self.top + self.ridge

    def footprint(self) -> np.ndarray:
        """(4, 2) corners on the ground, counter-clockwise."""
        half = np.array([self.length / 2, self.width / 2])
        signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        return (signs * half) @ np.array([[cos, sin], [-sin, cos]]) + [self.x, self.y]


@dataclass(frozen=True)
class Tree:
    """A tree: position, height and crown diameter in metres, index of its mesh, RGB colour."""

    x: float
    y: float
    height: float
    crown: float
    mesh: int
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class ParkingSlot:
    """A place for a parked vehicle with heading `yaw`.

    It is taken with probability `occupancy`; `kind` ("kerb", "home", "car", "truck" or "cart") selects the classes.
    """

    x: float
    y: float
    yaw: float
    kind: str
    occupancy: float


@dataclass(frozen=True)
class Gathering:
    """About `count` people in clusters within a rectangle; `seated`: share of clusters that sit or lie."""

    area: Rectangle
    count: float
    seated: float


@dataclass(frozen=True)
class CityMap:
    """The map of a scene, periodic in x and y with `side` metres.

    The ground is painted with `lot_marks`, then with `road_marks`, in their order.
    """

    side: float
    streets: tuple[Street, ...]
    lot_marks: tuple[Patch | Stroke, ...]
    road_marks: tuple[Patch | Stroke, ...]
    buildings: tuple[Building, ...]
    trees: tuple[Tree, ...]
    slots: tuple[ParkingSlot, ...]
    gatherings: tuple[Gathering, ...]


def corners_of(rectangle: Rectangle) -> np.ndarray:
    """(4, 2) corners of a rectangle, counter-clockwise."""
    x0, y0, x1, y1 = rectangle
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def shrunk(rectangle: Rectangle, margin: float) -> Rectangle:
    """The rectangle less a margin on each side."""
    x0, y0, x1, y1 = rectangle
    return (x0 + margin, y0 + margin, x1 - margin, y1 - margin)


def colour_of(values: np.ndarray) -> tuple[int, int, int]:
    """An RGB colour of values (3,), rounded down."""
    red, green, blue = (int(value) for value in values)
    return red, green, blue
