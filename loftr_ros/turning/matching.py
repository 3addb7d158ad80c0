"""Matches two images of any rotation in the image plane: the newer one is turned by a right angle before it is encoded.

turned = TurnedMatcher(matcher, "auto", limit_bytes=64 << 20)
found = turned.match(View(0, image0, matcher.encode(image0)), View(1, image1), expected=2)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, Literal

import numpy as np

from loftr_ros.image_matcher import Encoded, ImageMatcher, shrink
from loftr_ros.matches import Matches
from loftr_ros.turning.features import TurnedFeatures
from loftr_ros.turning.quarter_turns import TURNS

Rotation = Literal["off", "auto", "try"]
ROTATIONS: tuple[Rotation, ...] = ("off", "auto", "try")

# Pixels, long side of the images on which all turns are tried: half of the image, within limits. On 320 pixels the
# trial chose the right angle for all pairs of two real sets; with 192 pixels there are some 400 cells.
TRIAL_SIDES = 192, 320
WEAK = 0.5  # strength below which another turn may be better; see `strength`
_MANY_MATCHES = 100  # fewer ones weaken a pair


def strength(matches: Matches) -> float:
    """Return how well two images match, 0 to 1: the mean confidence, less where there are few matches.

    LoFTR also matches images that are not upright to each other, but with less confidence: on seven pairs of aerial
    photographs at 640 pixels 0.52 to 0.62 upright, 0.43 to 0.55 turned by 90 and 0.41 to 0.50 turned by 180 degrees.
    """
    return float(matches.confidence.sum()) / max(len(matches), _MANY_MATCHES)


@dataclass(frozen=True, eq=False)
class View(Generic[Encoded]):
    """An image to be matched.

    id: names its turned features. image: (H, W) uint8. encoded: None: not encoded yet. known: (K, 2), points that were
    matched in other pairs, for the older image; see `ImageMatcher.match`.
    """

    id: int
    image: np.ndarray
    encoded: Encoded | None = None
    known: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class TurnedMatches(Generic[Encoded]):
    """Matches in pixels of the images as they are, and the features of the newer image that gave them.

    turns: quarter turns of the newer image relative to the older one. is_tried_in_vain: the pair was weak, and of all
    turns the expected one was best. matchings, trials: how often the pair was matched in full and tried in all turns.
    """

    matches: Matches
    newer: Encoded
    turns: int
    is_tried_in_vain: bool = False
    matchings: int = 1
    trials: int = 0


@dataclass(frozen=True)
class Trial:
    """The best of some turns on small images. turns: as in TurnedMatches. confidence: sum of that of the matches."""

    turns: int
    confidence: float


@dataclass(frozen=True, eq=False)
class TurnedMatcher(Generic[Encoded]):
    """A matcher that turns images.

    rotation: "auto": turn as expected; without an expectation, and where a pair comes out weak, all four turns are
    tried on small images and the best is matched in full. "try": always try. "off": never turn.
    """

    matcher: ImageMatcher[Encoded]
    rotation: Rotation
    features: TurnedFeatures[Encoded]

    @property
    def turns_images(self) -> bool:
        """Whether images are turned at all."""
        return self.rotation != "off" and self.matcher.turning_helps

    def match(
        self, older: View[Encoded], newer: View[Encoded], expected: int | None, *, weak: float = WEAK
    ) -> TurnedMatches[Encoded]:
        """Match two images.

        expected: quarter turns of the newer image that make it upright to the older one; None: unknown. weak: strength
        below which all turns are tried; 0: never.
        """
        if not self.turns_images:
            return self._match_in_full(older, newer, 0)
        if expected is None or self.rotation == "try":
            best = self.trial(older, newer, default=expected or 0).turns
            return replace(self._match_in_full(older, newer, best), trials=1)
        found = self._match_in_full(older, newer, expected % 4)
        if strength(found.matches) >= weak:
            return found
        best = self.trial(older, newer, default=found.turns).turns
        if best == found.turns:
            return replace(found, is_tried_in_vain=True, trials=1)
        other = self._match_in_full(older, newer, best)
        return replace(max(found, other, key=lambda each: strength(each.matches)), matchings=2, trials=1)

    def trial(
        self, older: View[Encoded], newer: View[Encoded], default: int = 0, *, expected: int | None = None
    ) -> Trial:
        """Match two images roughly, on small images, in the expected turn or in all four; return the best.

        The sum of the confidence tells the turns of a pair apart, and the pairs of one place from others. default: the
        turns where all are equal.
        """
        small0 = self._small(older, 0)
        tried = TURNS if expected is None else (expected % 4,)
        turned = (self.matcher.match(small0, self._small(newer, turns), rough=True) for turns in tried)
        sums = {turns: float(matches.confidence.sum()) for turns, matches in zip(tried, turned, strict=True)}
        best = max(tried, key=lambda turns: (sums[turns], turns == default % 4))
        return Trial(best, sums[best])

    def _match_in_full(self, older: View[Encoded], newer: View[Encoded], turns: int) -> TurnedMatches[Encoded]:
        """Match at the full size with the newer image turned relative to the older one; kept features serve again."""
        encoded0 = self.matcher.encode(older.image) if older.encoded is None else older.encoded
        wanted = (encoded0.turns + turns) % 4
        encoded1 = newer.encoded
        if encoded1 is None:
            encoded1 = self.matcher.encode(newer.image, wanted)
        elif encoded1.turns != wanted and self.matcher.turning_helps:
            encoded1 = self.features.get((newer.id, wanted, False), lambda: self.matcher.encode(newer.image, wanted))
        return TurnedMatches(self.matcher.match(encoded0, encoded1, older.known), encoded1, turns)

    def _small(self, view: View[Encoded], turns: int) -> Encoded:
        return self.features.get(
            (view.id, turns, True),
            lambda: self.matcher.encode(shrink(view.image, trial_side(view.image)), turns, rough=True),
        )


def trial_side(image: np.ndarray) -> int:
    """Return the long side of an image (H, W) for a trial of all turns, pixels."""
    smallest, largest = TRIAL_SIDES
    return min(max(max(image.shape) // 2, smallest), largest)
