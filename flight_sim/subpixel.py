"""Drawing with OpenCV at sub-pixel precision, and the windows of images that drawings touch."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

SUBPIXEL_BITS = 4  # fractional bits of coordinates, OpenCV's `shift`
_FARTHEST = 1 << 24  # limit of fixed-point coordinates, so that OpenCV's integers do not overflow


def fixed_point(points: np.ndarray) -> np.ndarray:
    """Pixels (..., 2) as the int32 fixed-point coordinates that OpenCV draws with."""
    return np.clip(np.round(points * (1 << SUBPIXEL_BITS)), -_FARTHEST, _FARTHEST).astype(np.int32)


@dataclass(frozen=True)
class PixelWindow:
    """Columns `x0` to before `x1` and rows `y0` to before `y1` of an image; not empty."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def origin(self) -> np.ndarray:
        """(2,) the top-left pixel."""
        return np.array([self.x0, self.y0])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return (self.x1 - self.x0, self.y1 - self.y0)

    def of(self, image: np.ndarray) -> np.ndarray:
        """A view of this part of an image."""
        return image[self.y0 : self.y1, self.x0 : self.x1]

    def convex_mask(self, polygon: np.ndarray) -> np.ndarray:
        """(height, width) uint8: 255 in a convex polygon (N, 2), which is given in pixels of the whole image."""
        mask = np.zeros((self.y1 - self.y0, self.x1 - self.x0), np.uint8)
        cv2.fillConvexPoly(mask, fixed_point(polygon - self.origin), 255, cv2.LINE_8, SUBPIXEL_BITS)
        return mask


def window_around(points: np.ndarray, width: int, height: int, before: int = 0, after: int = 1) -> PixelWindow | None:
    """The part of an image around points (N, 2); None if they lie outside.

    `before`, `after`: pixels left and above, right and below, beyond the points' extent rounded outwards.
    """
    x0, y0 = np.clip(np.floor(points.min(axis=0)).astype(int) - before, 0, (width, height)).tolist()
    x1, y1 = np.clip(np.ceil(points.max(axis=0)).astype(int) + after, 0, (width, height)).tolist()
    return PixelWindow(x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None
