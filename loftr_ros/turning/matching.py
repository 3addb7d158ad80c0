"""Matches two images of any rotation in the image plane: the newer one is turned by a right angle before it is encoded.

Where a pair is weak in every turn, one image may show the place at about twice the scale of the other: the finer one is
then matched at half its size.

turned = TurnedMatcher(matcher, "auto", limit_bytes=64 << 20)
found = turned.match(View(0, image0, matcher.encode(image0)), View(1, image1), expected=2)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, Literal

import numpy as np

from loftr_ros.image_matcher import Encoded, ImageMatcher, shrink, to_shrunk
from loftr_ros.matches import Matches
from loftr_ros.turning.features import TurnedFeatures
from loftr_ros.turning.half_size import enlarged, shrinking
from loftr_ros.turning.quarter_turns import TURNS

Rotation = Literal["off", "auto", "try"]
ROTATIONS: tuple[Rotation, ...] = ("off", "auto", "try")

# Pixels, long side of the images on which all turns are tried: half of the image, within limits. On 320 pixels the
# trial chose the right angle for all pairs of two real sets; with 192 pixels there are some 400 cells.
TRIAL_SIDES = 192, 320
WEAK = 0.5  # strength below which another turn may be better; see `strength`
FULL_SIZE = 1.0, 1.0  # factors (x, y) of an image that is not shrunk
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

    turns: quarter turns of the newer image relative to the older one. is_tried_in_vain: the pair was weak, of all turns
    the expected one was best, and the pair is weak with either image at half its size too.
    """

    matches: Matches
    newer: Encoded
    turns: int
    is_tried_in_vain: bool = False


@dataclass(frozen=True, eq=False)
class TurnedMatcher(Generic[Encoded]):
    """A matcher that turns images.

    rotation: "auto": turn as expected; without an expectation, and where a pair comes out weak, all four turns are
    tried on small images and the best is matched in full; a pair that stays weak is matched with one image at half its
    size if it is stronger so. "try": always try all turns. "off": neither.
    """

    matcher: ImageMatcher[Encoded]
    rotation: Rotation
    features: TurnedFeatures[Encoded]

    def match(
        self, older: View[Encoded], newer: View[Encoded], expected: int | None, *, weak: float = WEAK
    ) -> TurnedMatches[Encoded]:
        """Match two images.

        expected: quarter turns of the newer image that make it upright to the older one; None: unknown. weak: strength
        below which all turns and half the size of either image are tried; 0: never.
        """
        if older.encoded is None:
            older = replace(older, encoded=self.matcher.encode(older.image))
        if self.rotation == "off" or not self.matcher.turning_helps:
            return self._match_in_full(older, newer, 0)
        found = self._match_in_best_turn(older, newer, expected, weak)
        return found if strength(found.matches) >= weak else self._match_at_half_size(older, newer, found, weak)

    def _match_in_best_turn(
        self, older: View[Encoded], newer: View[Encoded], expected: int | None, weak: float
    ) -> TurnedMatches[Encoded]:
        """Match at the full size; arguments as of `match`."""
        if expected is None or self.rotation == "try":
            return self._match_in_full(older, newer, self._best_turn(older, newer, default=expected or 0))
        found = self._match_in_full(older, newer, expected % 4)
        if strength(found.matches) >= weak:
            return found
        best = self._best_turn(older, newer, default=found.turns)
        if best == found.turns:
            return replace(found, is_tried_in_vain=True)
        other = self._match_in_full(older, newer, best)
        return max(found, other, key=lambda each: strength(each.matches))

    def _match_at_half_size(
        self, older: View[Encoded], newer: View[Encoded], found: TurnedMatches[Encoded], weak: float
    ) -> TurnedMatches[Encoded]:
        """Match a weak pair with either image at half its size; return `found` where neither is stronger.

        The features at half the size are those of the trial of turns. They are not kept with the image.
        """
        assert older.encoded is not None
        factors0, factors1 = (shrinking(view.image, trial_side(view.image)) for view in (older, newer))
        candidates = [
            (older.encoded, self._small(newer, found.newer.turns), FULL_SIZE, factors1),
            (self._small(older, older.encoded.turns), found.newer, factors0, FULL_SIZE),
        ]
        strengths = [strength(self.matcher.match(a, b, rough=True)) for a, b, _, _ in candidates]
        best = int(np.argmax(strengths))
        if strengths[best] <= strength(found.matches):
            return found
        encoded0, encoded1, factors0, factors1 = candidates[best]
        known = None if older.known is None else to_shrunk(older.known, factors0)
        matches = enlarged(self.matcher.match(encoded0, encoded1, known), factors0, factors1)
        return replace(found, matches=matches, is_tried_in_vain=found.is_tried_in_vain and strengths[best] < weak)

    def _match_in_full(self, older: View[Encoded], newer: View[Encoded], turns: int) -> TurnedMatches[Encoded]:
        """Match at the full size with the newer image turned relative to the older one; kept features serve again."""
        encoded0 = older.encoded
        assert encoded0 is not None
        wanted = (encoded0.turns + turns) % 4
        encoded1 = newer.encoded
        if encoded1 is None:
            encoded1 = self.matcher.encode(newer.image, wanted)
        elif encoded1.turns != wanted and self.matcher.turning_helps:
            encoded1 = self.features.get((newer.id, wanted, False), lambda: self.matcher.encode(newer.image, wanted))
        return TurnedMatches(self.matcher.match(encoded0, encoded1, older.known), encoded1, turns)

    def _best_turn(self, older: View[Encoded], newer: View[Encoded], default: int) -> int:
        """Return the turns with the largest sum of confidence on small images; `default` where they are equal."""
        small0 = self._small(older, 0)
        tried = (self.matcher.match(small0, self._small(newer, turns), rough=True) for turns in TURNS)
        sums = [float(matches.confidence.sum()) for matches in tried]
        return max(TURNS, key=lambda turns: (sums[turns], turns == default % 4))

    def _small(self, view: View[Encoded], turns: int) -> Encoded:
        return self.features.get(
            (view.id, turns, True), lambda: self.matcher.encode(shrink(view.image, trial_side(view.image)), turns)
        )


def trial_side(image: np.ndarray) -> int:
    """Return the long side of an image (H, W) for a trial of all turns, pixels."""
    smallest, largest = TRIAL_SIDES
    return min(max(max(image.shape) // 2, smallest), largest)
