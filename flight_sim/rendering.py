"""Rendering a scene with a pinhole camera: warps of the ground, faces of buildings by homographies, small solids as
flat polygons.

Beside the colours a buffer keeps which planar face each pixel shows; since the inverse depth of a plane is affine in
the pixel, depth and instances follow from it exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from flight_sim.buildings.panels import Panel
from flight_sim.camera import Camera, world_to_camera
from flight_sim.ground.shade import is_shaded as shaded_at
from flight_sim.meshes.mesh import Mesh as Shape
from flight_sim.meshes.mesh import Paint
from flight_sim.meshes.trees import tree_meshes as tree_shapes
from flight_sim.scene import Scene
from flight_sim.textures.pyramid import TexturePyramid as Pyramid

GROUND, BUILDING, TREE = 0, -1, -2
FARTHEST_M = 450.0
_GROUND_FARTHEST_M = 4000.0
_NEAR_M = 0.3
_SHIFT = 4
_DETAIL_PX = 16.0
_SMALLEST_PX = 2.0
_TREE_LEVELS = ((0.0, 26), (40.0, 90), (130.0, 300))  # crown from so many pixels on: so many leaf patches
_SKY = (196, 210, 224)
_TREE_SHAPES = tuple(tree_shapes(11, patches) for _, patches in _TREE_LEVELS)


@dataclass(frozen=True)
class Drawn:
    """The M objects of the population in a raster.

    `objects` (M,) index the population; `ids` (M,) int32 stand in the instance buffer; `vertices`: (V, 3) world points
    of each; `whole_px` (M,): pixels that each would have in the raster if no other object, tree or building stood
    before it; `position` (M, 2) in metres; `yaw` (M,) in radians.
    """

    objects: np.ndarray
    ids: np.ndarray
    vertices: tuple[np.ndarray, ...]
    whole_px: np.ndarray
    position: np.ndarray
    yaw: np.ndarray


@dataclass(frozen=True)
class Raster:
    """What the pinhole camera sees: `image` (H, W, 3) uint8 RGB and `faces` (H, W) int32 indices into the faces'
    tables.

    `planes` (F, 3) float64: inverse depth is planes @ (u, v, 1); `owners` (F,) int32: instance of each face (GROUND,
    BUILDING, TREE or an object's id). Face 0 is the ground; where its inverse depth is not positive, the sky.
    """

    image: np.ndarray
    faces: np.ndarray
    planes: np.ndarray
    owners: np.ndarray
    drawn: Drawn


def render(scene: Scene, camera: Camera, pose: np.ndarray, stamp_s: float) -> Raster:
    """Render a scene at a time; `pose` is T_world_camera.

    Raises ValueError for a camera with distortion or below the ground.
    """
    if not camera.is_pinhole or pose[2, 3] <= 0.0:
        raise ValueError("render needs a pinhole camera above the ground; a Lens gives the images of a distorted one")
    canvas = _Canvas(camera, pose)
    tiles = _tiles_in_view(canvas, scene.side)
    solids = _solids_in_view(scene, canvas, tiles, stamp_s)
    _draw_ground(canvas, scene)
    _draw_shadows(canvas, scene, solids)
    _draw_buildings(canvas, scene, tiles)
    image, faces, first = canvas.image.copy(), canvas.faces.copy(), canvas.face_count
    whole_px = _draw_solids(canvas, solids)
    planes, owners = np.concatenate(canvas.planes), np.concatenate(canvas.owners)
    _restore_nearer(canvas, image, faces, first, planes)
    return Raster(canvas.image, canvas.faces, planes, owners, _drawn(solids, whole_px))


class _Canvas:
    """The buffers that are drawn into, and the view that they belong to."""

    def __init__(self, camera: Camera, pose: np.ndarray) -> None:
        self.camera = camera
        self.pose = pose
        self.rotation = pose[:3, :3].T
        self.centre = pose[:3, 3]
        self.inverse_K = np.linalg.inv(camera.matrix)
        self.image = np.empty((camera.height, camera.width, 3), np.uint8)
        self.faces = np.zeros((camera.height, camera.width), np.int32)
        self.planes: list[np.ndarray] = []
        self.owners: list[np.ndarray] = []
        self.face_count = 0
        self.add_faces(np.array([[0.0, 0.0, 1.0]]), np.zeros((1, 3)), np.array([GROUND]))

    def add_faces(self, normals: np.ndarray, points: np.ndarray, owners: np.ndarray) -> int:
        """Enter faces with world normals (N, 3) through points (N, 3); returns the index of the first."""
        first = self.face_count
        distance = np.einsum("ij,ij->i", normals, points - self.centre)
        self.planes.append((normals @ self.pose[:3, :3] @ self.inverse_K) / distance[:, None])
        self.owners.append(np.asarray(owners, np.int32))
        self.face_count += len(normals)
        return first

    def sees(self, points: np.ndarray, radius: np.ndarray) -> np.ndarray:
        """(N,) bool: whether spheres around world points (N, 3) reach into the view."""
        camera = self.camera
        x, y, z = world_to_camera(points, self.pose).T
        inside = (z > _NEAR_M - radius) & (
            np.hypot(points[:, 0] - self.centre[0], points[:, 1] - self.centre[1]) < FARTHEST_M
        )
        edges = (
            (x, camera.fx, camera.cx + 0.5),
            (-x, camera.fx, camera.width - 0.5 - camera.cx),
            (y, camera.fy, camera.cy + 0.5),
            (-y, camera.fy, camera.height - 0.5 - camera.cy),
        )
        for offset, focal, reach in edges:
            inside &= focal * offset + reach * z > -radius * math.hypot(focal, reach)
        return inside


# The ground


def _draw_ground(canvas: _Canvas, scene: Scene) -> None:
    canvas.image[:] = _SKY
    _warp_ground(canvas, scene.ground.colour, canvas.image)
    if canvas.centre[2] / canvas.camera.fx > 2.0 * scene.ground.colour.metres_per_pixel:
        return
    relief, roughness = np.full_like(canvas.faces, 128, np.uint8), np.zeros_like(canvas.faces, np.uint8)
    _warp_ground(canvas, scene.relief, relief)
    _warp_ground(canvas, scene.ground.roughness, roughness)
    signed = cv2.subtract(relief, np.full_like(relief, 128), dtype=cv2.CV_16S)
    gain = cv2.multiply(signed, roughness, scale=1.0 / 255.0, dtype=cv2.CV_16S)
    gain = cv2.convertScaleAbs(gain, alpha=1.0, beta=128.0)
    cv2.multiply(canvas.image, cv2.merge([gain] * 3), canvas.image, scale=1.0 / 128.0)


def _warp_ground(canvas: _Canvas, texture: Pyramid, target: np.ndarray) -> None:
    """Draw a periodic ground texture into `target`, band by band of equal level."""
    camera = canvas.camera
    plane = canvas.planes[0][0]
    rectangle = np.array(
        [
            (-0.5, -0.5),
            (camera.width - 0.5, -0.5),
            (camera.width - 0.5, camera.height - 0.5),
            (-0.5, camera.height - 0.5),
        ]
    )
    inverse = rectangle @ plane[:2] + plane[2]
    nearest = 1.0 / max(inverse.max(), 1e-9)
    farthest = 1.0 / max(inverse.min(), 1.0 / _GROUND_FARTHEST_M)
    pixel_from_ground = camera.matrix @ np.column_stack(
        [canvas.rotation[:, 0], canvas.rotation[:, 1], -canvas.rotation @ canvas.centre]
    )
    ground_from_pixel = np.linalg.inv(pixel_from_ground)
    first, last = (texture.level_for(_footprint(canvas, depth)) for depth in (nearest, farthest))
    for level in range(first, last + 1):
        begin = 0.0 if level == first else _depth_of_footprint(canvas, texture.metres_per_pixel * 2 ** (level - 0.5))
        end = (
            _GROUND_FARTHEST_M
            if level == last
            else _depth_of_footprint(canvas, texture.metres_per_pixel * 2 ** (level + 0.5))
        )
        band = _clipped(rectangle, np.array([*plane[:2], plane[2] - 1.0 / end]))
        if begin > 0.0:
            band = _clipped(band, -np.array([*plane[:2], plane[2] - 1.0 / begin]))
        if len(band) >= 3:
            _warp_band(target, texture, level, ground_from_pixel, band, whole=first == last and len(band) == 4)


def _footprint(canvas: _Canvas, depth: float) -> float:
    """Metres of ground under a pixel at a depth: the geometric mean of its length and width."""
    return depth**1.5 / (canvas.camera.fx * math.sqrt(canvas.centre[2]))


def _depth_of_footprint(canvas: _Canvas, footprint: float) -> float:
    return float((footprint * canvas.camera.fx) ** 2 * canvas.centre[2]) ** (1.0 / 3.0)


def _clipped(polygon: np.ndarray, line: np.ndarray) -> np.ndarray:
    """The part (N, D) of a convex polygon where line[:-1] @ point + line[-1] >= 0."""
    values = polygon @ line[:-1] + line[-1]
    if (values >= 0.0).all():
        return polygon
    kept = []
    for k in range(len(polygon)):
        a, b = values[k - 1], values[k]
        if (a >= 0.0) != (b >= 0.0):
            kept.append(polygon[k - 1] + (polygon[k] - polygon[k - 1]) * (a / (a - b)))
        if b >= 0.0:
            kept.append(polygon[k])
    return np.array(kept).reshape(-1, polygon.shape[1])


def _warp_band(
    target: np.ndarray, texture: Pyramid, level: int, ground_from_pixel: np.ndarray, band: np.ndarray, whole: bool
) -> None:
    height, width = target.shape[:2]
    x0, y0 = np.clip(np.floor(band.min(axis=0)).astype(int), 0, (width, height))
    x1, y1 = np.clip(np.ceil(band.max(axis=0)).astype(int) + 1, 0, (width, height))
    if x1 <= x0 or y1 <= y0:
        return
    texel_from_pixel = texture.texel_from_metres(level) @ ground_from_pixel
    texels = cv2.perspectiveTransform(band[None], texel_from_pixel)[0]
    source, corner = _window(
        texture.levels[level], np.floor(texels.min(axis=0)).astype(int) - 1, np.ceil(texels.max(axis=0)).astype(int) + 2
    )
    warp = _shift(-corner) @ texel_from_pixel @ _shift(np.array([x0, y0]))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(
        source, warp, (int(x1 - x0), int(y1 - y0)), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    if whole:
        target[y0:y1, x0:x1] = warped
        return
    mask = np.zeros(warped.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, _fixed(band - [x0, y0]), 255, cv2.LINE_8, _SHIFT)
    cv2.copyTo(warped, mask, target[y0:y1, x0:x1])


def _window(level: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The endless tiling of a level from texel `low` to before `high` (x, y), and the texel at which it begins."""
    height, width = level.shape[:2]
    lap = np.floor_divide(low, (width, height)) * (width, height)
    x0, y0 = low - lap
    x1, y1 = high - lap
    if x1 <= width and y1 <= height:
        return level[y0:y1, x0:x1], low
    rows = level.take(np.arange(y0, y1), axis=0, mode="wrap") if y1 > height else level[y0:y1]
    return rows.take(np.arange(x0, x1), axis=1, mode="wrap") if x1 > width else np.ascontiguousarray(
        rows[:, x0:x1]
    ), low


def _shift(offset: np.ndarray) -> np.ndarray:
    return np.array([[1.0, 0.0, offset[0]], [0.0, 1.0, offset[1]], [0.0, 0.0, 1.0]])


def _fixed(points: np.ndarray) -> np.ndarray:
    """Pixels as the fixed-point integers that OpenCV draws with."""
    return np.clip(np.round(points * (1 << _SHIFT)), -(1 << 24), 1 << 24).astype(np.int32)


# What is in view


def _tiles_in_view(canvas: _Canvas, side: float) -> np.ndarray:
    """(T, 2) int: the copies of the scene of which something may be seen."""
    camera = canvas.camera
    corners = np.array(
        [
            (-0.5, -0.5, 1.0),
            (camera.width - 0.5, -0.5, 1.0),
            (camera.width - 0.5, camera.height - 0.5, 1.0),
            (-0.5, camera.height - 0.5, 1.0),
        ]
    )
    rays = corners @ canvas.inverse_K.T @ canvas.rotation
    falls = np.where(rays[:, 2] < -1e-6, -canvas.centre[2] / np.minimum(rays[:, 2], -1e-6), np.inf)
    reach = np.minimum(falls * np.hypot(rays[:, 0], rays[:, 1]), FARTHEST_M)
    flat = rays[:, :2] / np.maximum(np.linalg.norm(rays[:, :2], axis=1, keepdims=True), 1e-9)
    seen = np.concatenate([canvas.centre[None, :2], canvas.centre[:2] + flat * reach[:, None]])
    margin = 25.0
    low = np.floor((seen.min(axis=0) - margin) / side).astype(int)
    high = np.floor((seen.max(axis=0) + margin) / side).astype(int)
    return np.array([(i, j) for i in range(low[0], high[0] + 1) for j in range(low[1], high[1] + 1)])


@dataclass(frozen=True)
class _Group:
    """n solids of one shape; `index` (n,) into the population or -1; `scale` (n, 3); `colours` (n, P, 3) RGB."""

    shape: Shape
    index: np.ndarray
    ids: np.ndarray
    position: np.ndarray
    yaw: np.ndarray
    scale: np.ndarray
    colours: np.ndarray
    in_shade: np.ndarray
    detailed: np.ndarray

    def placed(self, points: np.ndarray) -> np.ndarray:
        """World points (n, ..., 3) of points (..., 3) of the shape."""
        spread = (slice(None), *[None] * (points.ndim - 1))
        x, y, z = np.moveaxis(points[None] * self.scale[spread], -1, 0)
        cos, sin = np.cos(self.yaw)[spread], np.sin(self.yaw)[spread]
        px, py = self.position[:, 0][spread], self.position[:, 1][spread]
        return np.stack([px + cos * x - sin * y, py + sin * x + cos * y, z], axis=-1)


@dataclass(frozen=True)
class _Solids:
    """The groups in view, and the rotation-only part of lighting: the unit vector to the sun and the sun's share of the
    light.
    """

    groups: tuple[_Group, ...]
    sun: np.ndarray
    sun_share: float


def _solids_in_view(scene: Scene, canvas: _Canvas, tiles: np.ndarray, stamp_s: float) -> _Solids:
    groups = _objects_in_view(scene, canvas, tiles, stamp_s) + _trees_in_view(scene, canvas, tiles)
    return _Solids(tuple(groups), scene.sun, scene.style.shadow_strength)


def _objects_in_view(scene: Scene, canvas: _Canvas, tiles: np.ndarray, stamp_s: float) -> list[_Group]:
    population = scene.population
    count = len(population)
    if count == 0:
        return []
    unwrapped, yaw = population.at(stamp_s)
    laps = np.floor(unwrapped / scene.side).astype(int)
    sizes = np.array([np.linalg.norm(shape.size) for shape in population.meshes])
    radius = 0.6 * sizes[population.mesh_index] * population.scale
    found = []
    for tile in tiles:
        position = unwrapped + (tile - laps) * scene.side
        centres = np.column_stack([position, 0.4 * radius])
        inside = np.flatnonzero(canvas.sees(centres, radius))
        depth = world_to_camera(centres[inside], canvas.pose)[:, 2]
        pixels = canvas.camera.fx * 2.0 * radius[inside] / np.maximum(depth, 1e-3)
        keep = (depth - radius[inside] > _NEAR_M) & (pixels > _SMALLEST_PX)
        inside, pixels = inside[keep], pixels[keep]
        turn = (tile - laps[inside]) & 255
        ids = 1 + inside + count * (turn[:, 0] << 8 | turn[:, 1])
        found.append((inside, position[inside], ids, pixels > _DETAIL_PX))
    inside, position, ids, detailed = (np.concatenate(parts) for parts in zip(*found, strict=True))
    in_shade = shaded_at(scene.ground.shade, scene.side, position)
    groups = []
    for shape in np.unique(population.mesh_index[inside]):
        chosen = np.flatnonzero(population.mesh_index[inside] == shape)
        members = inside[chosen]
        groups.append(
            _Group(
                population.meshes[shape],
                members,
                ids[chosen],
                position[chosen],
                yaw[members],
                np.repeat(population.scale[members, None], 3, axis=1),
                population.colours[members],
                in_shade[chosen],
                detailed[chosen],
            )
        )
    return groups


def _trees_in_view(scene: Scene, canvas: _Canvas, tiles: np.ndarray) -> list[_Group]:
    trees = scene.city.trees
    if not trees:
        return []
    table = np.array([(t.x, t.y, t.height, t.crown, t.mesh, *t.colour) for t in trees])
    radius = 0.6 * np.hypot(table[:, 2], table[:, 3])
    found = []
    for tile in tiles:
        position = table[:, :2] + tile * scene.side
        centres = np.column_stack([position, 0.5 * table[:, 2]])
        inside = np.flatnonzero(canvas.sees(centres, radius))
        depth = world_to_camera(centres[inside], canvas.pose)[:, 2]
        keep = depth - radius[inside] > _NEAR_M
        pixels = canvas.camera.fx * table[inside, 3] / np.maximum(depth, 1e-3)
        level = np.searchsorted([limit for limit, _ in _TREE_LEVELS], pixels[keep], side="right") - 1
        found.append((inside[keep], position[inside[keep]], level))
    inside, position, level = (np.concatenate(parts) for parts in zip(*found, strict=True))
    groups = []
    for detail, shapes in enumerate(_TREE_SHAPES):
        for shape in range(len(shapes)):
            chosen = np.flatnonzero((table[inside, 4] == shape) & (level == detail))
            if len(chosen) == 0:
                continue
            members = inside[chosen]
            colours = np.empty((len(chosen), len(Paint), 3))
            colours[:] = (92.0, 76.0, 60.0)
            colours[:, Paint.BODY] = table[members, 5:8]
            groups.append(
                _Group(
                    shapes[shape],
                    np.full(len(chosen), -1),
                    np.full(len(chosen), TREE),
                    position[chosen],
                    members * 1.7,
                    table[members][:, [3, 3, 2]],
                    colours,
                    np.zeros(len(chosen), bool),
                    np.ones(len(chosen), bool),
                )
            )
    return groups


# Shadows of objects


def _draw_shadows(canvas: _Canvas, scene: Scene, solids: _Solids) -> None:
    """Darken the ground behind objects; trees and buildings have theirs in the ground's texture."""
    throw = -scene.sun[:2] / scene.sun[2]
    mask = np.zeros(canvas.faces.shape, np.uint8)
    for group in solids.groups:
        sunny = np.flatnonzero((group.ids > 0) & ~group.in_shade)
        if len(sunny) == 0:
            continue
        points = group.placed(group.shape.hull)[sunny]
        points[..., :2] += points[..., 2:] * throw
        points[..., 2] = 0.0
        seen = world_to_camera(points, canvas.pose)
        in_front = (seen[..., 2] > _NEAR_M).all(axis=1)
        for outline in _fixed(canvas.camera.project(seen[in_front])):
            cv2.fillConvexPoly(mask, cv2.convexHull(outline), 255, cv2.LINE_AA, _SHIFT)
    light = cv2.convertScaleAbs(mask, alpha=-solids.sun_share, beta=255.0)
    cv2.multiply(canvas.image, cv2.merge([light] * 3), canvas.image, scale=1.0 / 255.0)


def _brightness(normals: np.ndarray, sun: np.ndarray, sun_share: float) -> np.ndarray:
    """Light on faces (...,) with normals (..., 3), relative to level ground in the sun."""
    sky = 0.62 + 0.38 * normals[..., 2]
    direct = np.clip(normals @ sun, 0.0, None) / max(float(sun[2]), 0.35)
    return np.clip((1.0 - sun_share) * sky + sun_share * direct, 0.12, 1.3)


# Buildings


def _draw_buildings(canvas: _Canvas, scene: Scene, tiles: np.ndarray) -> None:
    """Draw buildings, those behind first; what stands on a roof right after its building."""
    buildings = scene.city.buildings
    if not buildings:
        return
    table = np.array([(b.x, b.y, b.base, b.height, math.hypot(b.length, b.width) / 2, b.parent) for b in buildings])
    middles = np.column_stack([table[:, :2], table[:, 2:4].mean(axis=1)])
    radius = np.hypot(table[:, 4], (table[:, 3] - table[:, 2]) / 2)
    on_roof: dict[int, list[int]] = {}
    for k in np.flatnonzero(table[:, 5] >= 0):
        on_roof.setdefault(int(table[k, 5]), []).append(int(k))
    found: list[tuple[int, np.ndarray]] = []
    for tile in tiles:
        offset = np.array([*(tile * scene.side), 0.0])
        seen = canvas.sees(middles + offset, radius + 3.0) & (table[:, 5] < 0)
        found += [(int(k), offset) for k in np.flatnonzero(seen)]
    footprints = np.array([buildings[k].footprint() + offset[:2] for k, offset in found]).reshape(-1, 4, 2)
    for place in back_to_front(footprints, canvas.centre[:2]):
        k, offset = found[place]
        parts = [k]
        if canvas.centre[2] > buildings[k].height:
            extras = on_roof.get(k, [])
            parts += sorted(extras, key=lambda e: -float(np.linalg.norm(middles[e] + offset - canvas.centre)))
        for part in parts:
            for panel in scene.panels[part]:
                _draw_panel(canvas, panel, offset, scene)


def back_to_front(footprints: np.ndarray, eye: np.ndarray) -> list[int]:
    """An order in which upright prisms over disjoint convex footprints (N, 4, 2), counter-clockwise, can be painted for
    an eye (2,).

    Whatever lies beyond an edge of a footprint stands before it if the eye is beyond that edge too, else behind it.
    """
    count = len(footprints)
    if count == 0:
        return []
    edges = np.roll(footprints, -1, axis=1) - footprints
    normals = np.stack([edges[..., 1], -edges[..., 0]], axis=-1)
    offsets = np.einsum("nkd,nkd->nk", normals, footprints)
    beyond = np.einsum("ikd,jvd->ijkv", normals, footprints).min(axis=3) >= offsets[:, None] - 1e-3
    eye_beyond = normals @ eye > offsets
    before = (beyond & eye_beyond[:, None]).any(axis=2)
    behind = (beyond & ~eye_beyond[:, None]).any(axis=2)
    covers = (before | behind.T) & ~(behind | before.T)  # covers[i, j]: j may hide i
    distance = np.linalg.norm(footprints.mean(axis=1) - eye, axis=1)
    waits_for = covers.sum(axis=0)
    order = []
    waiting = np.ones(count, bool)
    for _ in range(count):
        ready = waiting & (waits_for == 0)
        candidates = np.flatnonzero(ready if ready.any() else waiting)
        chosen = int(candidates[np.argmax(distance[candidates])])
        order.append(chosen)
        waiting[chosen] = False
        waits_for = waits_for - covers[chosen]
    return order


def _draw_panel(canvas: _Canvas, panel: Panel, offset: np.ndarray, scene: Scene) -> None:
    camera = canvas.camera
    corners = panel.corners + offset
    if panel.normal @ (corners[0] - canvas.centre) > -1e-3:
        return
    seen = _clipped(world_to_camera(corners, canvas.pose), np.array([0.0, 0.0, 1.0, -_NEAR_M]))
    if len(seen) < 3:
        return
    pixels = camera.project(seen)
    x0, y0 = np.clip(np.floor(pixels.min(axis=0)).astype(int), 0, (camera.width, camera.height))
    x1, y1 = np.clip(np.ceil(pixels.max(axis=0)).astype(int) + 1, 0, (camera.width, camera.height))
    if x1 <= x0 or y1 <= y0:
        return
    face = canvas.add_faces(panel.normal[None], corners[:1], np.array([BUILDING]))
    polygon = _fixed(pixels)
    light = float(_brightness(panel.normal, scene.sun, scene.style.shadow_strength)) * panel.tint
    window = canvas.image[y0:y1, x0:x1]
    mean = np.clip(panel.texture.levels[-1].mean(axis=(0, 1)) * light, 0, 255)
    if x1 - x0 > 4 and y1 - y0 > 4:
        middle = seen.mean(axis=0)
        incidence = abs(float(canvas.rotation @ panel.normal @ middle)) / float(np.linalg.norm(middle))
        level = panel.texture.level_for(middle[2] / camera.fx / math.sqrt(max(incidence, 0.05)))
        axes = np.column_stack([panel.right, panel.up, panel.origin + offset - canvas.centre])
        metres_from_pixel = np.linalg.inv(camera.matrix @ canvas.rotation @ axes)
        warp = panel.texture.texel_from_metres(level) @ metres_from_pixel @ _shift(np.array([x0, y0]))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (int(x1 - x0), int(y1 - y0))
        texture = cv2.warpPerspective(panel.texture.levels[level], warp, size, flags=flags, borderMode=cv2.BORDER_WRAP)
        cv2.fillConvexPoly(canvas.image, polygon, mean.tolist(), cv2.LINE_AA, _SHIFT)
        mask = np.zeros(texture.shape[:2], np.uint8)
        cv2.fillConvexPoly(mask, _fixed(pixels - [x0, y0]), 255, cv2.LINE_8, _SHIFT)
        cv2.copyTo(cv2.multiply(texture, np.array([*light, 0.0])), mask, window)
        cv2.polylines(canvas.image, [polygon], True, (mean * 0.85).tolist(), 1, cv2.LINE_AA, _SHIFT)
    else:
        cv2.fillConvexPoly(canvas.image, polygon, mean.tolist(), cv2.LINE_AA, _SHIFT)
    cv2.fillConvexPoly(canvas.faces, polygon, face, cv2.LINE_8, _SHIFT)


# Objects and trees


def _draw_solids(canvas: _Canvas, solids: _Solids) -> np.ndarray:
    """Draw objects and trees, farthest first; returns the pixels (n,) that each showed when it was drawn, in the
    groups' order.
    """
    parts = [_facing(canvas, group, solids) for group in solids.groups]
    total = sum(len(group.ids) for group in solids.groups)
    whole_px = np.zeros(total, np.int64)
    if total == 0:
        return whole_px
    starts = np.cumsum([0] + [len(group.ids) for group in solids.groups])
    distance = np.concatenate([_distances(canvas, group) for group in solids.groups])
    rank = np.empty(total, np.int64)
    rank[np.argsort(-distance, kind="stable")] = np.arange(total)
    solid = np.concatenate([part.solid + start for part, start in zip(parts, starts, strict=False)])
    stage, depth = np.concatenate([p.stage for p in parts]), np.concatenate([p.depth for p in parts])
    order = np.lexsort((-depth, stage, rank[solid]))
    solid = solid[order]
    corners = np.concatenate([p.corners for p in parts])[order]
    normals = np.concatenate([p.normals for p in parts])[order]
    colours = np.clip(np.concatenate([p.colours for p in parts])[order], 0, 255).tolist()
    pixels = canvas.camera.project(world_to_camera(corners, canvas.pose))
    owners = np.concatenate([group.ids for group in solids.groups])[solid]
    first = canvas.add_faces(normals, corners[:, 0], owners)
    polygons = _fixed(pixels)
    breaks = np.flatnonzero(np.diff(solid, prepend=-1, append=-1))
    image, faces = canvas.image, canvas.faces
    height, width = faces.shape
    for begin, end in zip(breaks[:-1].tolist(), breaks[1:].tolist(), strict=True):
        for k in range(begin, end):
            polygon = polygons[k]
            cv2.fillConvexPoly(image, polygon, colours[k], cv2.LINE_AA, _SHIFT)
            cv2.fillConvexPoly(faces, polygon, first + k, cv2.LINE_8, _SHIFT)
        if owners[begin] > 0:
            own = polygons[begin:end].reshape(-1, 2) >> _SHIFT
            x0, y0 = own.min(axis=0).tolist()
            x1, y1 = own.max(axis=0).tolist()
            window = faces[max(y0 - 1, 0) : min(y1 + 2, height), max(x0 - 1, 0) : min(x1 + 2, width)]
            if window.size:
                whole_px[solid[begin]] = cv2.countNonZero(cv2.inRange(window, first + begin, first + end - 1))
    return whole_px


def _distances(canvas: _Canvas, group: _Group) -> np.ndarray:
    """(n,) metres from the camera to the middle of each solid."""
    height = group.shape.size[2] * group.scale[:, 2]
    middle = np.column_stack([group.position, np.where(group.ids == TREE, 0.62, 0.5) * height])
    return np.linalg.norm(middle - canvas.centre, axis=1)


@dataclass(frozen=True)
class _Facing:
    """M faces that look at the camera: world corners (M, 8, 3), normals (M, 3), colours (M, 3), and which solid of the
    group each is of.
    """

    solid: np.ndarray
    corners: np.ndarray
    normals: np.ndarray
    colours: np.ndarray
    stage: np.ndarray
    depth: np.ndarray


def _facing(canvas: _Canvas, group: _Group, solids: _Solids) -> _Facing:
    shape = group.shape
    cos, sin = np.cos(group.yaw)[:, None], np.sin(group.yaw)[:, None]
    shrunk = shape.normals[None] / group.scale[:, None]
    normals = np.stack(
        [cos * shrunk[..., 0] - sin * shrunk[..., 1], sin * shrunk[..., 0] + cos * shrunk[..., 1], shrunk[..., 2]],
        axis=-1,
    )
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    anchor = group.placed(shape.corners[:, 0])
    visible = np.einsum("nfd,nfd->nf", normals, anchor - canvas.centre) < -1e-4
    visible &= group.detailed[:, None] | ~shape.detail[None]
    solid, face = np.nonzero(visible)
    normals = normals[solid, face]
    corners = group.placed(shape.corners)[solid, face]
    light = np.where(
        group.in_shade[solid],
        (1.0 - solids.sun_share) * (0.62 + 0.38 * normals[:, 2]),
        _brightness(normals, solids.sun, solids.sun_share),
    )
    colours = group.colours[solid, shape.paint[face]] * (light * shape.tone[face])[:, None]
    depth = np.linalg.norm(corners.mean(axis=1) - canvas.centre, axis=1)
    return _Facing(solid, corners, normals, colours, shape.stage[face], depth)


def _restore_nearer(canvas: _Canvas, image: np.ndarray, faces: np.ndarray, first: int, planes: np.ndarray) -> None:
    """Bring back the buildings that stand before objects and trees, which were drawn over them."""
    rows, columns = np.nonzero((canvas.faces >= first) & (faces > 0))
    if len(rows) == 0:
        return
    pixels = np.column_stack([columns, rows, np.ones(len(rows))])
    new = (planes[canvas.faces[rows, columns]] * pixels).sum(axis=1)
    old = (planes[faces[rows, columns]] * pixels).sum(axis=1)
    nearer = old > new
    rows, columns = rows[nearer], columns[nearer]
    canvas.faces[rows, columns] = faces[rows, columns]
    restored = np.zeros(faces.shape, np.uint8)
    restored[rows, columns] = 1
    # One pixel more than the hidden polygons: their smoothed edges reach beyond them.
    fringe = (cv2.dilate(restored, np.ones((3, 3), np.uint8)) > 0) & (canvas.faces == faces) & (faces > 0)
    cv2.copyTo(image, fringe.astype(np.uint8), canvas.image)


def _drawn(solids: _Solids, whole_px: np.ndarray) -> Drawn:
    groups = [group for group in solids.groups if len(group.ids) and group.ids[0] > 0]
    if not groups:
        none = np.zeros(0, np.int64)
        return Drawn(none, none.astype(np.int32), (), none, np.zeros((0, 2)), np.zeros(0))
    vertices = [points.reshape(-1, 3) for group in groups for points in group.placed(group.shape.corners)]
    count = len(vertices)
    return Drawn(
        np.concatenate([group.index for group in groups]),
        np.concatenate([group.ids for group in groups]).astype(np.int32),
        tuple(vertices),
        whole_px[:count],
        np.concatenate([group.position for group in groups]),
        np.concatenate([group.yaw for group in groups]),
    )
