"""A population under construction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flight_sim.city_map.streets import Street
from flight_sim.classes import CLASS_NAMES
from flight_sim.meshes.catalogue import object_meshes
from flight_sim.meshes.mesh import Mesh, Paint
from flight_sim.traffic.colours import sample_colours
from flight_sim.traffic.population import STATIONARY, Population, Route, route_along

_WITH_RIDER = ("bicycle", "motor", "tricycle")
_CHILD_SIZE = 0.72  # of an adult's


@dataclass(frozen=True)
class Placement:
    """Where an object is: at (x, y) metres with heading `yaw` radians, or on a route.

    On a route it is `start` metres from the route's beginning at time 0 and moves at `speed` m/s.
    """

    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0
    route: int = STATIONARY
    start: float = 0.0
    speed: float = 0.0


@dataclass(frozen=True)
class _PlacedObject:
    class_name: str
    mesh: int
    scale: float
    colours: np.ndarray
    placement: Placement


class PopulationBuilder:
    """Collects the objects of a scene."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.routes: list[Route] = []
        self._meshes: list[Mesh] = []
        self._variants: dict[str, list[int]] = {}
        for kind, meshes in object_meshes().items():
            self._variants[kind] = list(range(len(self._meshes), len(self._meshes) + len(meshes)))
            self._meshes += meshes
        self._objects: list[_PlacedObject] = []

    def add(self, kind: str, placement: Placement) -> None:
        """Add an object of a class, a rider ("rider-motor") or a resting person ("sitting", "lying")."""
        rng = self.rng
        class_name = kind if kind in CLASS_NAMES else "people"
        if kind == "pedestrian" and rng.random() < 0.03:
            kind = "umbrella"
        mesh = int(rng.choice(self._variants[kind]))
        is_person = class_name in ("pedestrian", "people")
        scale = float(np.clip(rng.normal(1.0, 0.07), 0.8, 1.15)) if is_person else float(rng.uniform(0.95, 1.06))
        if is_person and rng.random() < 0.07:
            scale *= _CHILD_SIZE
        self._objects.append(_PlacedObject(class_name, mesh, scale, sample_colours(rng, class_name), placement))

    def add_driven(self, kind: str, placement: Placement) -> None:
        """Add a vehicle in use: two-wheelers and open tricycles with their riders."""
        self.add(kind, placement)
        if kind in _WITH_RIDER:
            self.add(f"rider-{kind}", placement)

    def add_route(self, points: np.ndarray, advance: tuple[float, float]) -> int:
        """Add a route through points (N, 2), and return its index."""
        self.routes.append(route_along(points, advance))
        return len(self.routes) - 1

    def add_street_route(self, street: Street, side: float, lateral: float, forward: bool) -> int:
        """Add a route along a street, or against its axis, and return its index; `side`: period of the scene."""
        points = street.line(side, lateral=lateral, start=0.0, stop=side)
        advance = (side, 0.0) if street.axis == 0 else (0.0, side)
        if street.bend > 0.0:
            points[-1] = points[0] + advance
        return self.add_route(points, advance) if forward else self.add_route(points[::-1], (-advance[0], -advance[1]))

    def length_of(self, kind: str) -> float:
        """Length in metres of the longest variant."""
        return max(float(self._meshes[k].size[0]) for k in self._variants[kind])

    def build(self) -> Population:
        """The population of all objects added."""
        objects, placements = self._objects, [each.placement for each in self._objects]
        return Population(
            meshes=tuple(self._meshes),
            routes=tuple(self.routes),
            class_ids=np.array([CLASS_NAMES.index(each.class_name) for each in objects], np.int64),
            mesh_index=np.array([each.mesh for each in objects], np.int64),
            scale=np.array([each.scale for each in objects], np.float64),
            colours=np.array([each.colours for each in objects], np.float64).reshape(-1, len(Paint), 3),
            position=np.array([(p.x, p.y) for p in placements], np.float64).reshape(-1, 2),
            yaw=np.array([p.yaw for p in placements], np.float64),
            route_index=np.array([p.route for p in placements], np.int64),
            start=np.array([p.start for p in placements], np.float64),
            speed=np.array([p.speed for p in placements], np.float64),
        )


def placed_at(point: np.ndarray, side: float, yaw: float) -> Placement:
    """A stationary placement at a point (2,), wrapped into the scene of period `side`."""
    return Placement(float(point[0] % side), float(point[1] % side), yaw)
