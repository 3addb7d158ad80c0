"""What the images of a flight tell about the next one: it is turned much as the one before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from loftr_ros.turning.expectation import nearest_turns
from loftr_ros.turning.matching import WEAK, TurnedMatches, strength

_IN_VIEW = 0.1  # strength of images that show one place; weaker ones say nothing about the turn
_WEAKER = 0.9  # an image is tried again only when it is weaker than this times the weakest one tried in vain


@dataclass(frozen=True)
class Following:
    """The state from image to image.

    turns: quarter turns that the next image is expected to need, relative to the newest keyframe. weak: strength below
    which all turns are tried. A trial in vain lowers it, so that a flight over difficult ground costs few trials.
    """

    turns: int = 0
    weak: float = WEAK

    def after_match(self, found: TurnedMatches[Any]) -> Following:
        """Return what follows from the matches of an image with the newest keyframe."""
        matches, how_strong = found.matches, strength(found.matches)
        if how_strong < _IN_VIEW:
            return self
        angle = matched_angle(matches.points0, matches.points1)
        return Following(
            turns=found.turns if angle is None else nearest_turns(angle),
            weak=min(self.weak, _WEAKER * how_strong) if found.is_tried_in_vain else self.weak,
        )

    def after_keyframe(self) -> Following:
        """Return what follows when the image became the newest keyframe."""
        return replace(self, turns=0)


def matched_angle(points0: np.ndarray, points1: np.ndarray) -> float | None:
    """Angle, radians, of the newer image in the older one from matches (N, 2), pixels; None for fewer than two.

    It is the rotation of the similarity that fits best (Umeyama, PAMI 1991), in closed form for two dimensions.
    """
    if len(points0) < 2:
        return None
    a, b = (np.asarray(points, np.float64) - points.mean(axis=0) for points in (points0, points1))
    sine, cosine = (b[:, 0] * a[:, 1] - b[:, 1] * a[:, 0]).sum(), (a * b).sum()
    return float(np.arctan2(sine, cosine)) if np.hypot(sine, cosine) > 0 else None
