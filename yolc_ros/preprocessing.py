"""Resizes and pads an image to a network input whose sides are multiples of 32, and maps boxes between the two.

Coordinates of both are continuous: the top-left pixel covers 0 to 1 in x and y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from yolc_ros.network.config import INPUT_MULTIPLE

Padding = Literal["plain", "release"]


@dataclass(frozen=True)
class Placement:
    """Position of a resized image in the network's input: input = scale * image + offset, for x and y."""

    image_size: tuple[int, int]  # (width, height), pixels
    resized_size: tuple[int, int]  # (width, height) of the image in the input, pixels
    input_size: tuple[int, int]  # (width, height), multiples of 32
    offset: tuple[int, int]  # (x, y) of the image's top-left corner in the input, pixels

    @property
    def scale(self) -> tuple[float, float]:
        """Input pixels per image pixel along x and y; the two differ because the resized size is rounded."""
        return self.resized_size[0] / self.image_size[0], self.resized_size[1] / self.image_size[1]

    def to_input(self, boxes: np.ndarray) -> np.ndarray:
        """Map boxes (N, 4) xyxy from image pixels to input pixels, float32."""
        return np.asarray(boxes * np.tile(self.scale, 2) + np.tile(self.offset, 2), dtype=np.float32)

    def to_image(self, boxes: np.ndarray) -> np.ndarray:
        """Map boxes (N, 4) xyxy from input pixels to image pixels, float32."""
        return np.asarray((boxes - np.tile(self.offset, 2)) / np.tile(self.scale, 2), dtype=np.float32)


def place(width: int, height: int, padding: Padding = "plain", scale: float = 1.0) -> Placement:
    """Place an image in the input: resize by `scale`, then pad.

    padding: "plain" pads to the next multiple of 32, with the image in the top-left corner. "release" is the authors'
    protocol: each side becomes `(side | 31) + 1`, which adds 1 to 32 pixels even to a multiple of 32, with the image in
    the centre. Raises ValueError for an empty image or a scale that is not positive.
    """
    if min(width, height) < 1 or scale <= 0:
        raise ValueError(f"cannot place an image of {width} x {height} pixels at scale {scale}")
    resized = max(1, round(width * scale)), max(1, round(height * scale))
    if padding == "release":
        input_size = (resized[0] | 31) + 1, (resized[1] | 31) + 1
        offset = input_size[0] // 2 - resized[0] // 2, input_size[1] // 2 - resized[1] // 2
    else:
        input_size = _round_up(resized[0]), _round_up(resized[1])
        offset = (0, 0)
    return Placement((width, height), resized, input_size, offset)


def input_area(width: float, height: float, scale: float) -> int:
    """Return the pixels of the input for an image of this size at a scale, with its padding."""
    sides = (_round_up(max(1, round(side * scale))) for side in (width, height))
    return math.prod(sides)


def limiting_scale(width: int, height: int, max_side: int) -> float:
    """Scale, at most 1, at which the longer side is at most `max_side` pixels (0: no limit)."""
    return min(1.0, max_side / max(width, height)) if max_side else 1.0


def render(image: np.ndarray, placement: Placement, canvas: np.ndarray | None = None) -> np.ndarray:
    """Resize an image (H, W, 3) uint8 and pad it with black -> input (height, width, 3) uint8.

    canvas: where to write the input, and what is returned; None: new memory.
    """
    if canvas is None:
        canvas = np.empty((placement.input_size[1], placement.input_size[0], 3), dtype=np.uint8)
    width, height = placement.resized_size
    x, y = placement.offset
    inside = canvas[y : y + height, x : x + width]
    if placement.resized_size == placement.image_size:
        inside[:] = image
    else:
        shrinks = width * height < placement.image_size[0] * placement.image_size[1]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        resized = cv2.resize(image, (width, height), dst=inside, interpolation=method)
        if not np.shares_memory(resized, inside):  # OpenCV may refuse the strides
            inside[:] = resized
    for border in (canvas[:y], canvas[y + height :], canvas[:, :x], canvas[:, x + width :]):
        border[:] = 0
    return canvas


def _round_up(side: int) -> int:
    return -(-side // INPUT_MULTIPLE) * INPUT_MULTIPLE
