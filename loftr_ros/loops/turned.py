"""Matching with the newer image turned by right angles, so that both images are upright to each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic

import numpy as np

from loftr_ros.image_matcher import Encoded, ImageMatcher
from loftr_ros.matches import Matches


def quarter_turns(rotation: np.ndarray) -> int:
    """Return the counter-clockwise quarter turns, 0 to 3, that bring the newer image closest to the older one.

    rotation: (3, 3), of the newer camera in the older one.
    """
    angle = np.arctan2(rotation[1, 0] - rotation[0, 1], rotation[0, 0] + rotation[1, 1])
    return round(-angle / (np.pi / 2)) % 4


@dataclass
class TurnedImage(Generic[Encoded]):
    """An image (H, W) uint8 that is encoded in each orientation at most once. upright: it, encoded as it is."""

    matcher: ImageMatcher[Encoded]
    image: np.ndarray
    upright: Encoded

    def __post_init__(self) -> None:
        self._encoded = {0: self.upright}

    def match(self, older: Encoded, turns: int) -> Matches:
        """Match an older image with this one, turned by counter-clockwise quarter turns; points are of this image."""
        if turns not in self._encoded:
            self._encoded[turns] = self.matcher.encode(np.ascontiguousarray(np.rot90(self.image, turns)))
        found = self.matcher.match(older, self._encoded[turns])
        height, width = self.image.shape
        x, y = found.points1[:, 0], found.points1[:, 1]
        last = np.float32(width - 1), np.float32(height - 1)
        upright = ((x, y), (last[0] - y, x), (last[0] - x, last[1] - y), (y, last[1] - x))[turns]
        return replace(found, points1=np.column_stack(upright), size1=(width, height))

    def match_any(self, older: Encoded) -> Matches:
        """Match in all four orientations; returns the one with the most matches."""
        return max((self.match(older, turns) for turns in range(4)), key=len)
