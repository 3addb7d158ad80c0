"""The objects of a scene and the routes that they follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flight_sim.meshes.mesh import Mesh
from flight_sim.polyline import arc_lengths, points_at

STATIONARY = -1  # route index of objects that do not move


@dataclass(frozen=True)
class Route:
    """A polyline (N, 2) in metres that objects follow again and again.

    `travelled` (N,): metres from its beginning; `advance` (2,): from its beginning to its end, a whole number of scene
    sides.
    """

    points: np.ndarray
    travelled: np.ndarray
    advance: np.ndarray

    @property
    def length(self) -> float:
        """Metres from the beginning to the end."""
        return float(self.travelled[-1])

    def at(self, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, 2) and headings (N,) in radians after `distance` (N,) metres."""
        laps = np.floor(distance / self.length)
        along = distance - laps * self.length
        position = points_at(self.points, self.travelled, along)
        segment = np.clip(np.searchsorted(self.travelled, along, side="right") - 1, 0, len(self.points) - 2)
        step = self.points[segment + 1] - self.points[segment]
        return position + laps[:, None] * self.advance, np.arctan2(step[:, 1], step[:, 0])


def route_along(points: np.ndarray, advance: tuple[float, float]) -> Route:
    """A route through points (N, 2)."""
    return Route(points, arc_lengths(points), np.array(advance))


@dataclass(frozen=True)
class Population:
    """N objects; all arrays are parallel.

    `class_ids` (N,) index CLASS_NAMES; `mesh_index` (N,) index `meshes`; `scale` (N,): factor on the mesh's size;
    `colours` (N, P, 3): RGB for each Paint. Objects with `route_index` (N,) STATIONARY stay at `position` (N, 2) with
    `yaw` (N,); the others are `start` (N,) metres along their route at time 0 and move at `speed` (N,) m/s.
    """

    meshes: tuple[Mesh, ...]
    routes: tuple[Route, ...]
    class_ids: np.ndarray
    mesh_index: np.ndarray
    scale: np.ndarray
    colours: np.ndarray
    position: np.ndarray
    yaw: np.ndarray
    route_index: np.ndarray
    start: np.ndarray
    speed: np.ndarray

    def __len__(self) -> int:
        return len(self.class_ids)

    def at(self, stamp_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, 2) in metres (not wrapped into the scene) and headings (N,) in radians at a time."""
        position, yaw = self.position.copy(), self.yaw.copy()
        for index, route in enumerate(self.routes):
            members = np.flatnonzero(self.route_index == index)
            if len(members):
                position[members], yaw[members] = route.at(self.start[members] + self.speed[members] * stamp_s)
        return position, yaw
