"""Draws the ground by warping its textures, band by band of equal level of detail."""

from __future__ import annotations

import math

import cv2
import numpy as np

from flight_sim.rendering.canvas import Canvas
from flight_sim.rendering.geometry import clipped, image_corners, translation
from flight_sim.scene import Scene
from flight_sim.subpixel import window_around
from flight_sim.textures.pyramid import TexturePyramid

_FARTHEST_M = 4000.0  # depth at which the ground ends
_SKY = (196, 210, 224)
_RELIEF_BELOW = 2.0  # relief is drawn where a pixel covers fewer pixels of the ground raster, seen from above


def draw_ground(canvas: Canvas, scene: Scene) -> None:
    """Draw the sky and the ground; close to the ground also its fine relief."""
    canvas.image[:] = _SKY
    _warp_texture(canvas, scene.ground.colour, canvas.image)
    if canvas.centre[2] / canvas.camera.fx > _RELIEF_BELOW * scene.ground.colour.metres_per_pixel:
        return
    relief, roughness = np.full_like(canvas.faces, 128, np.uint8), np.zeros_like(canvas.faces, np.uint8)
    _warp_texture(canvas, scene.relief, relief)
    _warp_texture(canvas, scene.ground.roughness, roughness)
    signed = cv2.subtract(relief, np.full_like(relief, 128), dtype=cv2.CV_16S)
    gain = cv2.multiply(signed, roughness, scale=1.0 / 255.0, dtype=cv2.CV_16S)
    gain = cv2.convertScaleAbs(gain, alpha=1.0, beta=128.0)
    cv2.multiply(canvas.image, cv2.merge([gain] * 3), canvas.image, scale=1.0 / 128.0)


def _warp_texture(canvas: Canvas, texture: TexturePyramid, target: np.ndarray) -> None:
    """Draw a periodic ground texture into `target` (H, W) or (H, W, 3)."""
    plane = canvas.planes[0][0]
    corners = image_corners(canvas.camera)
    inverse_depth = corners @ plane[:2] + plane[2]
    nearest = 1.0 / max(inverse_depth.max(), 1e-9)
    farthest = 1.0 / max(inverse_depth.min(), 1.0 / _FARTHEST_M)
    first, last = (texture.level_for(_footprint(canvas, depth)) for depth in (nearest, farthest))
    ground_from_pixel = _ground_from_pixel(canvas)
    for level in range(first, last + 1):
        end = _FARTHEST_M if level == last else _depth_at(canvas, texture.metres_per_pixel * 2 ** (level + 0.5))
        band = clipped(corners, np.array([*plane[:2], plane[2] - 1.0 / end]))
        if level > first:
            begin = _depth_at(canvas, texture.metres_per_pixel * 2 ** (level - 0.5))
            band = clipped(band, -np.array([*plane[:2], plane[2] - 1.0 / begin]))
        if len(band) >= 3:
            is_whole = first == last and len(band) == 4
            _warp_band(target, texture, level, ground_from_pixel, band, is_whole=is_whole)


def _ground_from_pixel(canvas: Canvas) -> np.ndarray:
    """The homography (3, 3) from pixels to the plane z = 0."""
    columns = [canvas.rotation[:, 0], canvas.rotation[:, 1], -canvas.rotation @ canvas.centre]
    return np.linalg.inv(canvas.camera.matrix @ np.column_stack(columns))


def _footprint(canvas: Canvas, depth: float) -> float:
    """Metres of ground under a pixel at a depth: the geometric mean of its length and width."""
    return depth**1.5 / (canvas.camera.fx * math.sqrt(canvas.centre[2]))


def _depth_at(canvas: Canvas, footprint: float) -> float:
    """The depth at which pixels have a footprint, the inverse of _footprint."""
    return float((footprint * canvas.camera.fx) ** 2 * canvas.centre[2]) ** (1.0 / 3.0)


def _warp_band(
    target: np.ndarray,
    texture: TexturePyramid,
    level: int,
    ground_from_pixel: np.ndarray,
    band: np.ndarray,
    is_whole: bool,
) -> None:
    """Warp one level of a texture into a convex part `band` (N, 2) of the target, or into the whole target."""
    window = window_around(band, target.shape[1], target.shape[0])
    if window is None:
        return
    texel_from_pixel = texture.texel_from_metres(level) @ ground_from_pixel
    texels = cv2.perspectiveTransform(band[None], texel_from_pixel)[0]
    low, high = np.floor(texels.min(axis=0)).astype(int) - 1, np.ceil(texels.max(axis=0)).astype(int) + 2
    source = _tiling(texture.levels[level], low, high)
    warp = translation(-low) @ texel_from_pixel @ translation(window.origin)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(source, warp, window.size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    if is_whole:
        window.of(target)[:] = warped
    else:
        cv2.copyTo(warped, window.convex_mask(band), window.of(target))


def _tiling(level: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The endless tiling of a level from texel `low` (x, y) to before `high`."""
    height, width = level.shape[:2]
    lap = np.floor_divide(low, (width, height)) * (width, height)
    x0, y0 = low - lap
    x1, y1 = high - lap
    if x1 <= width and y1 <= height:
        return level[y0:y1, x0:x1]
    rows = level.take(np.arange(y0, y1), axis=0, mode="wrap") if y1 > height else level[y0:y1]
    if x1 > width:
        return rows.take(np.arange(x0, x1), axis=1, mode="wrap")
    return np.ascontiguousarray(rows[:, x0:x1])
