"""The objects and trees in view, in batches of one mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flight_sim.camera import world_to_camera
from flight_sim.ground.shade import is_shaded
from flight_sim.meshes.mesh import Mesh, Paint
from flight_sim.meshes.trees import tree_meshes
from flight_sim.rendering.buffers import TREE
from flight_sim.rendering.canvas import FARTHEST_M, NEAR_M, Canvas
from flight_sim.rendering.geometry import image_corners
from flight_sim.scene import Scene

_TILE_MARGIN_M = 25.0  # how far something may reach from its position
_SMALLEST_PX = 2.0  # objects with a smaller diameter are left out
_DETAIL_PX = 16.0  # diameter of objects from which their details are drawn
# Leaf patches of a tree whose crown has at least so many pixels; empirical: patches stay a few pixels large.
_TREE_LEVELS = ((0.0, 26), (40.0, 90), (130.0, 300))
_TREE_MESHES = tuple(tree_meshes(11, patches) for _, patches in _TREE_LEVELS)
_TRUNK_COLOUR = (92.0, 76.0, 60.0)


@dataclass(frozen=True)
class MeshBatch:
    """n instances of one mesh.

    `objects` (n,): indices into the population, -1 for trees; `ids` (n,): instances; `position` (n, 2) metres; `yaw`
    (n,) radians; `scale` (n, 3); `colours` (n, P, 3) RGB by Paint; `in_shade` (n,) bool: in the shadow of a building or
    tree; `detailed` (n,) bool: large enough for the details of the mesh.
    """

    mesh: Mesh
    objects: np.ndarray
    ids: np.ndarray
    position: np.ndarray
    yaw: np.ndarray
    scale: np.ndarray
    colours: np.ndarray
    in_shade: np.ndarray
    detailed: np.ndarray

    def placed(self, points: np.ndarray) -> np.ndarray:
        """World points (n, ..., 3) of points (..., 3) of the mesh."""
        spread = (slice(None), *[None] * (points.ndim - 1))
        x, y, z = np.moveaxis(points[None] * self.scale[spread], -1, 0)
        cos, sin = np.cos(self.yaw)[spread], np.sin(self.yaw)[spread]
        px, py = self.position[:, 0][spread], self.position[:, 1][spread]
        return np.stack([px + cos * x - sin * y, py + sin * x + cos * y, z], axis=-1)


def tiles_in_view(canvas: Canvas, side: float) -> np.ndarray:
    """(T, 2) int: the periodic copies of the scene that may be in view; copy (i, j) begins at (i, j) * side."""
    corners = np.column_stack([image_corners(canvas.camera), np.ones(4)])
    rays = corners @ canvas.inverse_K.T @ canvas.rotation
    falls = np.where(rays[:, 2] < -1e-6, -canvas.centre[2] / np.minimum(rays[:, 2], -1e-6), np.inf)
    reach = np.minimum(falls * np.hypot(rays[:, 0], rays[:, 1]), FARTHEST_M)
    flat = rays[:, :2] / np.maximum(np.linalg.norm(rays[:, :2], axis=1, keepdims=True), 1e-9)
    seen = np.concatenate([canvas.centre[None, :2], canvas.centre[:2] + flat * reach[:, None]])
    low = np.floor((seen.min(axis=0) - _TILE_MARGIN_M) / side).astype(int)
    high = np.floor((seen.max(axis=0) + _TILE_MARGIN_M) / side).astype(int)
    return np.array([(i, j) for i in range(low[0], high[0] + 1) for j in range(low[1], high[1] + 1)])


def objects_in_view(scene: Scene, canvas: Canvas, tiles: np.ndarray, stamp_s: float) -> list[MeshBatch]:
    """The objects in view at a time."""
    population = scene.population
    count = len(population)
    if count == 0:
        return []
    unwrapped, yaw = population.at(stamp_s)
    laps = np.floor(unwrapped / scene.side).astype(int)
    sizes = np.array([np.linalg.norm(mesh.size) for mesh in population.meshes])
    radius = 0.6 * sizes[population.mesh_index] * population.scale
    found = []
    for tile in tiles:
        position = unwrapped + (tile - laps) * scene.side
        centres = np.column_stack([position, 0.4 * radius])
        inside = np.flatnonzero(canvas.sees(centres, radius))
        depth = world_to_camera(centres[inside], canvas.pose)[:, 2]
        pixels = canvas.camera.fx * 2.0 * radius[inside] / np.maximum(depth, 1e-3)
        keep = (depth - radius[inside] > NEAR_M) & (pixels > _SMALLEST_PX)
        inside, pixels = inside[keep], pixels[keep]
        # An id keeps the copy of the scene in two bytes, so that it is unique in view and persists over frames.
        copy = (tile - laps[inside]) & 255
        ids = 1 + inside + count * (copy[:, 0] << 8 | copy[:, 1])
        found.append((inside, position[inside], ids, pixels > _DETAIL_PX))
    inside, position, ids, detailed = (np.concatenate(parts) for parts in zip(*found, strict=True))
    in_shade = is_shaded(scene.ground.shade, scene.side, position)
    batches = []
    for mesh in np.unique(population.mesh_index[inside]):
        chosen = np.flatnonzero(population.mesh_index[inside] == mesh)
        members = inside[chosen]
        batches.append(
            MeshBatch(
                mesh=population.meshes[mesh],
                objects=members,
                ids=ids[chosen],
                position=position[chosen],
                yaw=yaw[members],
                scale=np.repeat(population.scale[members, None], 3, axis=1),
                colours=population.colours[members],
                in_shade=in_shade[chosen],
                detailed=detailed[chosen],
            )
        )
    return batches


def trees_in_view(scene: Scene, canvas: Canvas, tiles: np.ndarray) -> list[MeshBatch]:
    """The trees in view; the nearer ones have more leaf patches."""
    trees = scene.city.trees
    if not trees:
        return []
    place = np.array([(t.x, t.y) for t in trees])
    height, crown = np.array([t.height for t in trees]), np.array([t.crown for t in trees])
    kind, colour = np.array([t.mesh for t in trees]), np.array([t.colour for t in trees])
    radius = 0.6 * np.hypot(height, crown)
    found = []
    for tile in tiles:
        position = place + tile * scene.side
        centres = np.column_stack([position, 0.5 * height])
        inside = np.flatnonzero(canvas.sees(centres, radius))
        depth = world_to_camera(centres[inside], canvas.pose)[:, 2]
        keep = depth - radius[inside] > NEAR_M
        pixels = canvas.camera.fx * crown[inside] / np.maximum(depth, 1e-3)
        level = np.searchsorted([limit for limit, _ in _TREE_LEVELS], pixels[keep], side="right") - 1
        found.append((inside[keep], position[inside[keep]], level))
    inside, position, level = (np.concatenate(parts) for parts in zip(*found, strict=True))
    batches = []
    for detail, meshes in enumerate(_TREE_MESHES):
        for index, mesh in enumerate(meshes):
            chosen = np.flatnonzero((kind[inside] == index) & (level == detail))
            if len(chosen) == 0:
                continue
            members = inside[chosen]
            colours = np.empty((len(chosen), len(Paint), 3))
            colours[:] = _TRUNK_COLOUR
            colours[:, Paint.BODY] = colour[members]
            batches.append(
                MeshBatch(
                    mesh=mesh,
                    objects=np.full(len(chosen), -1),
                    ids=np.full(len(chosen), TREE),
                    position=position[chosen],
                    yaw=members * 1.7,  # any angle that differs from tree to tree
                    scale=np.column_stack([crown, crown, height])[members],
                    colours=colours,
                    in_shade=np.zeros(len(chosen), bool),
                    detailed=np.ones(len(chosen), bool),
                )
            )
    return batches
