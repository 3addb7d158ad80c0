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
    the expected one was best, and the pair is weak with either image at half its size too. matchings, trials: how often
    the pair was matched in full, and how often roughly, in all turns or at half the size.
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
    tried on small images and the best is matched in full; a pair that stays weak is matched with one image at half its
    size if it is stronger so. "try": always try all turns. "off": neither.
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
        below which all turns and half the size of either image are tried; 0: never. Without an expectation all turns
        are tried in any case.
        """
        if older.encoded is None:
            older = replace(older, encoded=self.matcher.encode(older.image))
        if not self.turns_images:
            return self._match_in_full(older, newer, 0)
        found = self._match_in_best_turn(older, newer, expected, weak)
        return found if strength(found.matches) >= weak else self._match_at_half_size(older, newer, found, weak)

    def _match_in_best_turn(
        self, older: View[Encoded], newer: View[Encoded], expected: int | None, weak: float
    ) -> TurnedMatches[Encoded]:
        """Match at the full size; arguments as of `match`."""
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

    def _match_at_half_size(
        self, older: View[Encoded], newer: View[Encoded], found: TurnedMatches[Encoded], weak: float
    ) -> TurnedMatches[Encoded]:
        """Match a weak pair with either image at half its size; return `found` where neither is stronger.

        Both are matched roughly, with the features of the trial of turns; the better one then in full.
        """
        assert older.encoded is not None
        turns0, turns1 = older.encoded.turns, found.newer.turns
        strengths = [
            strength(self.matcher.match(encoded0, encoded1, rough=True))
            for encoded0, encoded1 in (
                (self._small(older, turns0), found.newer),
                (older.encoded, self._small(newer, turns1)),
            )
        ]
        if max(strengths) <= strength(found.matches):
            return replace(found, trials=found.trials + 1)
        if strengths[0] > strengths[1]:
            factors = shrinking(older.image, trial_side(older.image)), FULL_SIZE
            encoded = self._encode_small(older, turns0), found.newer
        else:
            factors = FULL_SIZE, shrinking(newer.image, trial_side(newer.image))
            encoded = older.encoded, self._encode_small(newer, turns1)
        known = None if older.known is None else to_shrunk(older.known, factors[0])
        return replace(
            found,
            matches=enlarged(self.matcher.match(*encoded, known), *factors),
            is_tried_in_vain=found.is_tried_in_vain and max(strengths) < weak,
            matchings=found.matchings + 1,
            trials=found.trials + 1,
        )

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

    def _small(self, view: View[Encoded], turns: int) -> Encoded:
        return self.features.get((view.id, turns, True), lambda: self._encode_small(view, turns, rough=True))

    def _encode_small(self, view: View[Encoded], turns: int, *, rough: bool = False) -> Encoded:
        return self.matcher.encode(shrink(view.image, trial_side(view.image)), turns, rough=rough)


def trial_side(image: np.ndarray) -> int:
    """Return the long side of an image (H, W) for a trial of all turns, pixels."""
    smallest, largest = TRIAL_SIDES
    return min(max(max(image.shape) // 2, smallest), largest)
