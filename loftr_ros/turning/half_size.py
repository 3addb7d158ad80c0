"""Matches of images of which one was shrunk before it was encoded, in pixels of the images as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from loftr_ros.image_matcher import shrunk_size, to_original
from loftr_ros.matches import Matches

Factors = tuple[float, float]
"""Size of an image over its shrunk size, (x, y)."""


def shrinking(image: np.ndarray, max_side: int) -> Factors:
    """Return the factors by which `shrink` divides the sides of an image (H, W)."""
    height, width = image.shape
    small_width, small_height = shrunk_size(width, height, max_side)
    return width / small_width, height / small_height


def enlarged(matches: Matches, factors0: Factors, factors1: Factors) -> Matches:
    """Return matches of two shrunk images in pixels of the images before they were shrunk."""
    return replace(
        matches,
        points0=to_original(matches.points0, factors0),
        points1=to_original(matches.points1, factors1),
        spread=matches.spread * np.float32(sum(factors1) / 2),
        size0=_times(matches.size0, factors0),
        size1=_times(matches.size1, factors1),
    )


def _times(size: tuple[int, int], factors: Factors) -> tuple[int, int]:
    return round(size[0] * factors[0]), round(size[1] * factors[1])
