"""Textures with prefiltered levels (mipmaps), so that minified views do not alias."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class TexturePyramid:
    """A periodic texture: `levels[k]`, (H, W, 3) or (H, W) uint8, has texels of `metres_per_pixel * 2**k`.

    Texel (0, 0) covers the square that begins at the origin. Columns grow with the first texture coordinate, rows with
    the second (for the ground: east and north).
    """

    levels: tuple[np.ndarray, ...]
    metres_per_pixel: float

    def level_for(self, footprint_m: float) -> int:
        """The level whose texels are nearest in size to the footprint of a pixel, in metres."""
        level = round(math.log2(max(footprint_m, 1e-6) / self.metres_per_pixel))
        return min(max(level, 0), len(self.levels) - 1)

    def texel_from_metres(self, level: int) -> np.ndarray:
        """(3, 3) homography from texture coordinates in metres to texel centres of a level."""
        scale = 1.0 / (self.metres_per_pixel * 2**level)
        return np.array([[scale, 0.0, -0.5], [0.0, scale, -0.5], [0.0, 0.0, 1.0]])


def build_pyramid(image: np.ndarray, metres_per_pixel: float, smallest: int = 16) -> TexturePyramid:
    """Halve an image by area averaging while its sides stay even and above `smallest` texels."""
    levels = [np.ascontiguousarray(image)]
    while all(side % 2 == 0 and side // 2 >= smallest for side in levels[-1].shape[:2]):
        height, width = levels[-1].shape[:2]
        levels.append(cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA))
    return TexturePyramid(tuple(levels), metres_per_pixel)
