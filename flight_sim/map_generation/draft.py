"""A map under construction, with the generators of single trees and buildings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from flight_sim.city_map.elements import (
    FACADES,
    ROOF_TEXTURES,
    Building,
    CityMap,
    Gathering,
    ParkingSlot,
    Patch,
    Rectangle,
    Stroke,
    Tree,
    corners_of,
    shrunk,
)
from flight_sim.city_map.place_style import PlaceStyle
from flight_sim.city_map.streets import Street

WHITE_LINE = (225, 225, 220)
_MEDIAN_TREE_HEIGHT = 6.5  # metres


@dataclass
class MapDraft:
    """Elements of a map that grows lot by lot; `green` (3,) is the mean RGB colour of its trees."""

    rng: np.random.Generator
    style: PlaceStyle
    green: np.ndarray
    marks: list[Patch | Stroke] = field(default_factory=list)
    buildings: list[Building] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    slots: list[ParkingSlot] = field(default_factory=list)
    gatherings: list[Gathering] = field(default_factory=list)

    def fill(self, material: str, rectangle: Rectangle) -> None:
        """Fill a rectangle with a ground material."""
        self.marks.append(Patch(material, corners_of(rectangle)))

    def stroke(
        self,
        points: Sequence[Sequence[float]] | Sequence[np.ndarray] | np.ndarray,
        width: float,
        colour: tuple[int, int, int] = WHITE_LINE,
        dash: tuple[float, float] | None = None,
    ) -> None:
        """Paint a line through points (N, 2)."""
        self.marks.append(Stroke(np.asarray(points, np.float64), width, colour, dash))

    def add_slot(self, x: float, y: float, yaw: float, kind: str, occupancy: float) -> None:
        """Add a parking slot."""
        self.slots.append(ParkingSlot(float(x), float(y), float(yaw), kind, occupancy))

    def add_gathering(self, area: Rectangle, count: float, seated: float) -> None:
        """Add people in a rectangle."""
        self.gatherings.append(Gathering(area, count, seated))

    def add_tree(self, x: float, y: float, size: float = 1.0) -> None:
        """Add a tree of random height, shape and colour; `size` multiplies its height."""
        rng = self.rng
        height = float(np.clip(rng.lognormal(math.log(_MEDIAN_TREE_HEIGHT), 0.35), 3.0, 13.0)) * size
        colour = self.green * rng.uniform(0.7, 1.25) + rng.normal(0.0, 7.0, 3)
        if rng.random() < 0.04:  # autumn leaves
            colour = np.array([170.0, 120.0, 60.0]) * rng.uniform(0.8, 1.1)
        mesh = int(rng.integers(0, 6)) if rng.random() < 0.5 else int(rng.integers(0, 4))
        height = min(height, self.style.height_limit)
        crown = height * float(rng.uniform(0.65, 1.05))
        self.trees.append(Tree(x, y, height, crown, mesh, (colour[0], colour[1], colour[2])))

    def scatter_trees(self, rectangle: Rectangle, per_hectare: float, margin: float = 3.0) -> None:
        """Add trees within a rectangle less a margin: 60 % of them in groups."""
        x0, y0, x1, y1 = shrunk(rectangle, margin)
        if x1 <= x0 or y1 <= y0:
            return
        count = self.rng.poisson(per_hectare * self.style.trees * (x1 - x0) * (y1 - y0) / 1e4)
        centres = self.rng.uniform((x0, y0), (x1, y1), (max(count // 6, 1), 2))
        for _ in range(count):
            near = centres[self.rng.integers(len(centres))] + self.rng.normal(0.0, 6.0, 2)
            point = near if self.rng.random() < 0.6 else self.rng.uniform((x0, y0), (x1, y1))
            x, y = np.clip(point, (x0, y0), (x1, y1))
            self.add_tree(float(x), float(y))

    def add_building(
        self,
        centre: tuple[float, float],
        size: tuple[float, float],
        height: float,
        roof: str,
        yaw: float = 0.0,
        wall: int | None = None,
    ) -> None:
        """Add a building of length and width `size`, not higher than the style allows, and structures on a flat roof.

        `wall`: index of the wall texture; None for a random facade.
        """
        rng = self.rng
        height = min(height, self.style.height_limit)
        ridge = min(0.28 * size[1] * float(rng.uniform(0.8, 1.3)), 0.4 * height) if roof == "gable" else 0.0
        building = Building(
            x=centre[0],
            y=centre[1],
            yaw=yaw,
            length=size[0],
            width=size[1],
            base=0.0,
            top=height - ridge,
            roof=roof,
            ridge=ridge,
            wall=int(rng.integers(0, FACADES)) if wall is None else wall,
            cover=int(rng.integers(0, ROOF_TEXTURES)),
        )
        self.buildings.append(building)
        if roof == "flat" and min(size) > 9.0:
            self._add_roof_structures(building, len(self.buildings) - 1)

    def _add_roof_structures(self, below: Building, index: int) -> None:
        """Add stairheads and plant rooms on a flat roof; `index` is that of the building below."""
        rng = self.rng
        for _ in range(rng.integers(0, 4)):
            length, width = rng.uniform(1.5, 0.3 * below.length), rng.uniform(1.5, 0.3 * below.width)
            dx, dy = rng.uniform(-0.3, 0.3) * below.length, rng.uniform(-0.3, 0.3) * below.width
            self.buildings.append(
                Building(
                    x=below.x + dx * math.cos(below.yaw) - dy * math.sin(below.yaw),
                    y=below.y + dx * math.sin(below.yaw) + dy * math.cos(below.yaw),
                    yaw=below.yaw,
                    length=length,
                    width=width,
                    base=below.height,
                    top=below.height + float(rng.uniform(0.8, 2.8)),
                    roof="flat",
                    ridge=0.0,
                    wall=below.wall,
                    cover=below.cover,
                    parent=index,
                )
            )

    def finished(self, side: float, streets: tuple[Street, ...], lot_mark_count: int) -> CityMap:
        """The map; the first `lot_mark_count` marks are those of the lots."""
        return CityMap(
            side=side,
            streets=streets,
            lot_marks=tuple(self.marks[:lot_mark_count]),
            road_marks=tuple(self.marks[lot_mark_count:]),
            buildings=tuple(self.buildings),
            trees=tuple(self.trees),
            slots=tuple(self.slots),
            gatherings=tuple(self.gatherings),
        )
