"""Fills polygons with tiles and draws strokes into the ground raster."""

from __future__ import annotations

import cv2
import numpy as np

from flight_sim.city_map.elements import Stroke
from flight_sim.polyline import arc_lengths, points_at
from flight_sim.subpixel import SUBPIXEL_BITS, PixelWindow, fixed_point, window_around

_THICK = 0.8  # metres; wider bent strokes are drawn as polylines, which have no gaps at bends


def tiled(tile: np.ndarray, window: PixelWindow) -> np.ndarray:
    """A window of the endless tiling of a tile (H, W, 3)."""
    height, width = tile.shape[:2]
    columns, rows = window.size
    repeats = ((rows + height - 1) // height + 1, (columns + width - 1) // width + 1)
    big = np.tile(tile, (*repeats, 1))
    return big[window.y0 % height :][:rows, window.x0 % width :][:, :columns].copy()


def fill_polygon(raster: np.ndarray, polygon: np.ndarray, tile: np.ndarray) -> None:
    """Fill a polygon (N, 2) in pixels of the raster with a tiled texture."""
    size = raster.shape[0]
    window = window_around(polygon, size, size)
    if window is None:
        return
    columns, rows = window.size
    mask = np.zeros((rows, columns), np.uint8)
    cv2.fillPoly(mask, [fixed_point(polygon - window.origin)], 255, cv2.LINE_8, SUBPIXEL_BITS)
    cv2.copyTo(tiled(tile, window), mask, window.of(raster))


def draw_stroke(raster: np.ndarray, stroke: Stroke, metres_per_pixel: float) -> None:
    """Draw a stroke with smooth edges: one quadrilateral for each segment or dash."""
    if stroke.dash:
        pieces = _dashes(stroke.points, on=stroke.dash[0], off=stroke.dash[1])
    else:
        pieces = np.stack([stroke.points[:-1], stroke.points[1:]], axis=1)
    if len(pieces) == 0:
        return
    if stroke.width > _THICK and len(stroke.points) > 2:
        thickness = max(round(stroke.width / metres_per_pixel), 1)
        points = fixed_point(stroke.points / metres_per_pixel - 0.5)
        cv2.polylines(raster, [points], False, stroke.colour, thickness, cv2.LINE_AA, SUBPIXEL_BITS)
        return
    direction = pieces[:, 1] - pieces[:, 0]
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-9)
    across = np.stack([-direction[:, 1], direction[:, 0]], axis=1) * stroke.width / 2
    corners = [pieces[:, 0] + across, pieces[:, 1] + across, pieces[:, 1] - across, pieces[:, 0] - across]
    for quad in fixed_point(np.stack(corners, axis=1) / metres_per_pixel - 0.5):
        cv2.fillConvexPoly(raster, quad, stroke.colour, cv2.LINE_AA, SUBPIXEL_BITS)


def _dashes(points: np.ndarray, on: float, off: float) -> np.ndarray:
    """(N, 2, 2) ends of the dashes along a polyline; `on`, `off`: metres."""
    lengths = arc_lengths(points)
    starts = np.arange(0.0, max(lengths[-1] - on, 0.0), on + off)
    return np.stack([points_at(points, lengths, ends) for ends in (starts, starts + on)], axis=1)
