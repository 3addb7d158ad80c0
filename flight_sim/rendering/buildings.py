"""Draws buildings by warping the textures of their panels."""

from __future__ import annotations

import math

import cv2
import numpy as np

from flight_sim.buildings.panels import Panel
from flight_sim.camera import world_to_camera
from flight_sim.rendering.buffers import BUILDING
from flight_sim.rendering.canvas import NEAR_M, Canvas
from flight_sim.rendering.geometry import clipped, translation
from flight_sim.rendering.lighting import Sunlight
from flight_sim.scene import Scene
from flight_sim.subpixel import SUBPIXEL_BITS, fixed_point, window_around

_SMALLEST_TEXTURED_PX = 4  # smaller panels get their mean colour
_NEAR_PLANE = np.array([0.0, 0.0, 1.0, -NEAR_M])


def draw_buildings(canvas: Canvas, scene: Scene, tiles: np.ndarray, light: Sunlight) -> None:
    """Draw buildings, those behind first; structures on a roof right after the building below."""
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
            distances = {e: float(np.linalg.norm(middles[e] + offset - canvas.centre)) for e in on_roof.get(k, [])}
            parts += sorted(distances, key=lambda extra: -distances[extra])
        for part in parts:
            for panel in scene.panels[part]:
                _draw_panel(canvas, panel, offset, light)


def back_to_front(footprints: np.ndarray, eye: np.ndarray) -> list[int]:
    """An order to paint upright prisms over disjoint convex footprints (N, 4, 2), counter-clockwise, for an eye (2,).

    If all of footprint j lies beyond an edge of footprint i, j is in front of i when the eye is beyond that edge too,
    else behind it.
    """
    count = len(footprints)
    if count == 0:
        return []
    edges = np.roll(footprints, -1, axis=1) - footprints
    normals = np.stack([edges[..., 1], -edges[..., 0]], axis=-1)
    offsets = np.einsum("nkd,nkd->nk", normals, footprints)
    beyond = np.einsum("ikd,jvd->ijkv", normals, footprints).min(axis=3) >= offsets[:, None] - 1e-3
    eye_beyond = normals @ eye > offsets
    in_front = (beyond & eye_beyond[:, None]).any(axis=2)
    behind = (beyond & ~eye_beyond[:, None]).any(axis=2)
    paints_first = (in_front | behind.T) & ~(behind | in_front.T)  # [i, j]: i before j, which may hide it
    distance = np.linalg.norm(footprints.mean(axis=1) - eye, axis=1)
    waits_for = paints_first.sum(axis=0)
    order = []
    waiting = np.ones(count, bool)
    for _ in range(count):
        ready = waiting & (waits_for == 0)
        candidates = np.flatnonzero(ready if ready.any() else waiting)  # a cycle is broken at the farthest
        chosen = int(candidates[np.argmax(distance[candidates])])
        order.append(chosen)
        waiting[chosen] = False
        waits_for = waits_for - paints_first[chosen]
    return order


def _draw_panel(canvas: Canvas, panel: Panel, offset: np.ndarray, light: Sunlight) -> None:
    """Draw a panel moved by an offset (3,), unless it faces away."""
    corners = panel.corners + offset
    if panel.normal @ (corners[0] - canvas.centre) > -1e-3:
        return
    seen = clipped(world_to_camera(corners, canvas.pose), _NEAR_PLANE)
    if len(seen) < 3:
        return
    pixels = canvas.camera.project(seen)
    window = window_around(pixels, canvas.camera.width, canvas.camera.height)
    if window is None:
        return
    face = canvas.add_faces(panel.normal[None], corners[:1], np.array([BUILDING]))
    polygon = fixed_point(pixels)
    brightness = float(light.on(panel.normal)) * panel.tint
    mean = np.clip(panel.texture.levels[-1].mean(axis=(0, 1)) * brightness, 0, 255)
    # The mean colour first: it remains under the smooth edge of the polygon, which the texture does not cover.
    cv2.fillConvexPoly(canvas.image, polygon, mean.tolist(), cv2.LINE_AA, SUBPIXEL_BITS)
    if min(window.size) > _SMALLEST_TEXTURED_PX:
        level = _level_of(canvas, panel, seen.mean(axis=0))
        axes = np.column_stack([panel.right, panel.up, panel.origin + offset - canvas.centre])
        metres_from_pixel = np.linalg.inv(canvas.camera.matrix @ canvas.rotation @ axes)
        warp = panel.texture.texel_from_metres(level) @ metres_from_pixel @ translation(window.origin)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        source = panel.texture.levels[level]
        texture = cv2.warpPerspective(source, warp, window.size, flags=flags, borderMode=cv2.BORDER_WRAP)
        lit = cv2.multiply(texture, np.array([*brightness, 0.0]))
        cv2.copyTo(lit, window.convex_mask(pixels), window.of(canvas.image))
        cv2.polylines(canvas.image, [polygon], True, (mean * 0.85).tolist(), 1, cv2.LINE_AA, SUBPIXEL_BITS)
    cv2.fillConvexPoly(canvas.faces, polygon, face, cv2.LINE_8, SUBPIXEL_BITS)


def _level_of(canvas: Canvas, panel: Panel, middle: np.ndarray) -> int:
    """The level of a panel's texture for the footprint of a pixel at `middle` (3,) in the optical frame."""
    incidence = abs(float(canvas.rotation @ panel.normal @ middle)) / float(np.linalg.norm(middle))
    return panel.texture.level_for(middle[2] / canvas.camera.fx / math.sqrt(max(incidence, 0.05)))
