"""Which turns are matched, what is encoded for it, and that coordinates stay exact."""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import pytest

from loftr_ros.image_matcher import MatcherSettings, shrink
from loftr_ros.matcher import Matcher
from loftr_ros.matches import Matches
from loftr_ros.sift_matcher import SiftMatcher
from loftr_ros.turning.features import TurnedFeatures
from loftr_ros.turning.following import Following
from loftr_ros.turning.matching import TRIAL_SIDES, WEAK, TurnedMatcher, TurnedMatches, View, strength
from loftr_ros.turning.quarter_turns import turn_points, turned_size
from perception_common.backends.devices import choose_device

SIZE = 640, 480
MEGABYTES = 100 << 20


def texture(width, height, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.0), None, 0, 255, cv2.NORM_MINMAX)


@dataclass(frozen=True, eq=False)
class Coded:
    """An encoded image: the image as it was turned."""

    pixels: np.ndarray
    turns: int
    size: tuple[int, int]
    is_rough: bool = False
    nbytes: int = 1000


@dataclass
class Comparing:
    """A matcher that is sure of images that are upright to each other, and of others less.

    encoded: (turns, width). matched: (width, rough).
    """

    upright: float = 0.8
    turned: float = 0.3
    at_half_size: float = 0.0  # of a newer image that is half as wide as the older one
    turning_helps: bool = True
    encoded: list = field(default_factory=list)
    matched: list = field(default_factory=list)

    def encode(self, gray, turns=0, *, rough=False):
        self.encoded.append((turns % 4, gray.shape[1]))
        return Coded(np.rot90(gray, turns), turns % 4, gray.shape[::-1], rough)

    def match(self, image0, image1, known=None, *, rough=False):
        assert rough or not (image0.is_rough or image1.is_rough)
        self.matched.append((image1.size[0], rough))
        is_upright = image0.pixels.shape == image1.pixels.shape and np.mean(image0.pixels == image1.pixels) > 0.9
        is_half = self.at_half_size and 2 * image1.size[0] == image0.size[0]
        confidence = self.at_half_size if is_half else self.upright if is_upright else self.turned
        sure = np.full(200, confidence, np.float32)
        points = np.random.default_rng(0).uniform([0, 0], SIZE, (200, 2))
        return Matches(points, points, sure, sure, np.arange(200), np.arange(200), image0.size, image1.size)

    @property
    def in_full(self):
        return [turns for turns, width in self.encoded if width > TRIAL_SIDES[1]]

    @property
    def on_trial(self):
        return [turns for turns, width in self.encoded if width <= TRIAL_SIDES[1]]


@dataclass
class Counting:
    """Counts the encodings of a matcher."""

    matcher: Matcher
    encodings: int = 0
    turning_helps: bool = True

    def encode(self, *image, **options):
        self.encodings += 1
        return self.matcher.encode(*image, **options)

    def match(self, *images, **options):
        return self.matcher.match(*images, **options)


def turned_matcher(matcher, rotation="auto", limit=MEGABYTES):
    return TurnedMatcher(matcher, rotation, TurnedFeatures(limit))


def views(turned_by, matcher, kept=False):
    """An encoded image, and the same one turned, encoded or not."""
    image = texture(*SIZE)
    newer = np.ascontiguousarray(np.rot90(image, turned_by))
    found = View(0, image, matcher.encode(image)), View(1, newer, matcher.encode(newer) if kept else None)
    matcher.encoded.clear()
    return found


@pytest.mark.parametrize("turned_by", range(4))
def test_an_expected_image_is_encoded_once_and_upright(turned_by):
    matcher = Comparing()
    older, newer = views(turned_by, matcher)
    found = turned_matcher(matcher).match(older, newer, -turned_by % 4)
    assert (found.turns, found.newer.turns) == (-turned_by % 4, -turned_by % 4)
    assert (found.matchings, found.trials) == (1, 0)
    assert matcher.encoded == [(-turned_by % 4, newer.image.shape[1])]


@pytest.mark.parametrize("turned_by", range(4))
@pytest.mark.parametrize("rotation", ["auto", "try"])
def test_without_an_expectation_all_turns_are_tried_on_small_images(turned_by, rotation):
    matcher = Comparing()
    older, newer = views(turned_by, matcher)
    found = turned_matcher(matcher, rotation).match(older, newer, None)
    assert found.turns == -turned_by % 4
    assert strength(found.matches) > WEAK
    assert matcher.in_full == [-turned_by % 4]
    assert (found.matchings, found.trials) == (1, 1)
    assert sorted(matcher.on_trial) == [0, 0, 1, 2, 3]  # the older image upright, the newer one in all turns
    assert [rough for width, rough in matcher.matched if width <= TRIAL_SIDES[1]] == [True] * 4
    assert [rough for width, rough in matcher.matched if width > TRIAL_SIDES[1]] == [False]


@pytest.mark.parametrize("turned_by", range(4))
def test_a_wrong_expectation_makes_a_weak_pair_and_is_corrected(turned_by):
    matcher = Comparing()
    older, newer = views(turned_by, matcher)
    found = turned_matcher(matcher).match(older, newer, (1 - turned_by) % 4)
    assert found.turns == -turned_by % 4
    assert not found.is_tried_in_vain
    assert (found.matchings, found.trials) == (2, 1)
    assert matcher.in_full == [(1 - turned_by) % 4, -turned_by % 4]


def test_a_pair_that_is_weak_in_all_turns_keeps_the_expected_one():
    matcher = Comparing(upright=0.3)
    older, newer = views(0, matcher)
    found = turned_matcher(matcher).match(older, newer, 3)
    assert (found.turns, found.is_tried_in_vain) == (3, True)
    assert (found.matchings, found.trials) == (1, 2)  # all turns, and half the size
    assert matcher.in_full == [3]
    matcher.encoded.clear()
    assert not turned_matcher(matcher).match(older, newer, 3, weak=0.0).is_tried_in_vain
    assert matcher.encoded == [(3, SIZE[0])]  # not tried


@pytest.mark.parametrize(("at_half_size", "in_vain"), [(0.35, True), (0.7, False)])
def test_half_the_size_is_in_vain_where_the_pair_stays_weak(at_half_size, in_vain):
    """It is tried again only for weaker pairs then, as for turns: difficult ground costs few trials."""
    matcher = Comparing(upright=0.3, at_half_size=at_half_size)
    found = turned_matcher(matcher).match(*views(0, matcher), 0)
    assert strength(found.matches) == pytest.approx(at_half_size)
    assert found.is_tried_in_vain == in_vain
    assert matcher.in_full == [0]
    assert (found.matchings, found.trials) == (2, 2)


def test_a_pair_that_nobody_wants_tried_is_turned_at_most():
    """As for old keyframes that look alike: most are weak since they show other places."""
    matcher = Comparing(upright=0.3, at_half_size=0.7)
    found = turned_matcher(matcher).match(*views(0, matcher), None, weak=0.0)
    assert strength(found.matches) == pytest.approx(0.3)
    assert (found.matchings, found.trials) == (1, 1)


@pytest.mark.parametrize("matcher", [Comparing(), Comparing(turning_helps=False)])
def test_nothing_is_turned_where_it_is_off_or_does_not_help(matcher):
    older, newer = views(2, matcher)
    found = turned_matcher(matcher, "off" if matcher.turning_helps else "try").match(older, newer, 2)
    assert (found.turns, found.newer.turns) == (0, 0)
    assert matcher.encoded == [(0, SIZE[0])]


def test_kept_features_that_are_upright_to_each_other_serve_again():
    matcher = Comparing()
    older, newer = views(2, matcher)
    first = turned_matcher(matcher).match(older, newer, 2)
    matcher.encoded.clear()
    again = turned_matcher(matcher).match(older, replace(newer, encoded=first.newer), 2)
    assert matcher.encoded == []
    assert again.newer is first.newer


def test_an_image_beside_a_turned_keyframe_is_turned_like_it():
    """Both fly back: the keyframe was encoded with a half turn, and the next image needs none relative to it."""
    matcher = Comparing()
    image = texture(*SIZE)
    older = View(0, image, matcher.encode(image, 2))
    assert turned_matcher(matcher).match(older, View(1, image), 0).newer.turns == 2


def test_turned_features_of_kept_images_are_made_once_and_bounded():
    matcher = Comparing()
    older, newer = views(2, matcher, kept=True)
    turned = turned_matcher(matcher, limit=3000)  # three images
    for _ in range(3):
        assert turned.match(older, newer, 2).newer.turns == 2
    assert matcher.encoded == [(2, SIZE[0])]
    turned.match(older, newer, None)
    assert turned.features.nbytes <= 3000
    turned.features.drop(0)
    turned.features.drop(1)
    assert turned.features.nbytes == 0


def test_sift_says_that_turning_does_not_help():
    image = texture(320, 240)
    sift = SiftMatcher(MatcherSettings())
    assert not sift.turning_helps
    assert sift.encode(image, 2).turns == 0
    np.testing.assert_array_equal(sift.encode(image, 2).points, sift.encode(image).points)


@pytest.fixture(scope="module")
def loftr():
    return Matcher.load("loftr_lite", "default", choose_device("cpu"), MatcherSettings(max_side=0))


def test_rough_matches_are_those_of_the_coarse_stage(loftr, monkeypatch):
    image = texture(152, 117)
    encoded = loftr.encode(image), loftr.encode(np.roll(image, 3, axis=1))
    known = np.array([[60.3, 50.2], [90.7, 40.1]])
    full = loftr.match(*encoded)
    monkeypatch.setattr(type(loftr.network), "refine", None)  # nothing is refined
    rough = loftr.match(*encoded, known, rough=True)
    kept = np.isin(rough.cells0, full.cells0)  # without those that the refinement put outside of the image
    assert len(full) > 50
    for name in ("confidence", "points0", "cells0", "cells1"):
        np.testing.assert_array_equal(getattr(rough, name)[kept], getattr(full, name), err_msg=name)
    columns = -(-152 // 8)
    np.testing.assert_allclose(rough.points1, np.stack([rough.cells1 % columns, rough.cells1 // columns], 1) * 8.0)
    assert np.isnan(rough.spread).all()


def test_features_for_rough_matches_are_small_and_give_the_same_matches(loftr):
    image = texture(152, 117)
    shifted = np.roll(image, 3, axis=1)
    full, rough = ([loftr.encode(each, rough=is_rough) for each in (image, shifted)] for is_rough in (False, True))
    assert rough[0].nbytes < 0.2 * full[0].nbytes
    expected, found = loftr.match(*full, rough=True), loftr.match(*rough, rough=True)
    assert len(found) > 50
    for name in ("confidence", "points0", "points1", "cells0", "cells1"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


def test_trials_of_several_keyframes_turn_the_newer_image_once(loftr):
    """All that a trial keeps fits beside each other, even where only a few features for full matches would."""
    images = [texture(152, 117), np.roll(texture(152, 117), 9, axis=1)]
    newer = np.rot90(images[0]).copy()
    matcher = Counting(loftr)
    turned = turned_matcher(matcher, limit=2 * loftr.encode(newer).nbytes)
    trials = [turned.trial(View(k, image), View(2, newer)) for k, image in enumerate(images)]
    assert trials[0].turns == 3
    assert matcher.encodings == len(images) + 4


@pytest.mark.parametrize("turned_by", range(4))
@pytest.mark.parametrize(("size", "max_side"), [((152, 117), 0), ((304, 236), 152)])
def test_matches_of_an_image_with_itself_turned_are_mapped_exactly(loftr, turned_by, size, max_side):
    """The network sees equal images, so only the mapping differs: it is the closed form of the turn."""
    matcher = loftr.with_settings(MatcherSettings(max_side=max_side))
    image = texture(*size)
    turned = np.ascontiguousarray(np.rot90(image, turned_by))
    upright = matcher.encode(image)
    plain = matcher.match(upright, upright)
    assert len(plain) > 50
    found = matcher.match(upright, matcher.encode(turned, -turned_by))
    assert found.size1 == turned_size(size, turned_by)
    for name in ("points0", "confidence", "spread", "cells0"):
        np.testing.assert_array_equal(getattr(found, name), getattr(plain, name), err_msg=name)
    np.testing.assert_allclose(found.points1, turn_points(plain.points1, turned_by, size), atol=1e-4)
    other = matcher.match(matcher.encode(turned, -turned_by), upright)
    np.testing.assert_allclose(other.points0, turn_points(plain.points0, turned_by, size), atol=1e-4)

    width = shrink(turned, max_side).shape[1]
    cells, columns = found.cells1, -(-width // 8)
    assert len(np.unique(cells)) == len(cells)
    centres = np.stack([cells % columns, cells // columns], 1) * 8.0
    scale = found.size1[0] / width
    off = found.points1 / scale - centres
    assert np.abs(off).max() < 8 + 8  # in the cell, whose lattice starts at the far side, and the fine window around it


@pytest.mark.parametrize("padding", ["none", "release"])
@pytest.mark.parametrize("turned_by", range(4))
def test_cells_of_turned_images_name_the_places_of_upright_ones(padding, turned_by):
    """The network sees one image in both cases, so the cells are the same places, numbered in another grid."""
    settings = MatcherSettings(max_side=0, padding=padding)
    matcher = Matcher.load("loftr_lite", "default", choose_device("cpu"), settings)
    image = texture(96, 64)
    turned = np.ascontiguousarray(np.rot90(image, turned_by))
    upright = matcher.encode(image)
    plain = matcher.match(upright, upright)
    found = matcher.match(upright, matcher.encode(turned, -turned_by))
    assert len(plain) > 10
    columns = (12, 12) if padding == "release" else (12, turned.shape[1] // 8)  # of both grids
    before, after = (
        np.stack([cells % row, cells // row], 1)
        for cells, row in zip((plain.cells1, found.cells1), columns, strict=True)
    )
    np.testing.assert_array_equal(after, turn_points(before, turned_by, (12, 8)))


def zoomed_pair():
    """An image, and its middle at twice the scale: each pixel four times, so that half the size shows the same pixels.

    Returns both images, and the function from pixels of the image to those of the enlarged middle.
    """
    image = texture(384, 288)
    middle = image[72:216, 96:288]

    def to_middle(points):
        return 2 * (points - [96, 72]) + 0.5

    return image, np.kron(middle, np.ones((2, 2), np.uint8)), to_middle


def of_the_same_place(matches, is_older_zoomed, to_middle):
    """Mark the matches (N,) that are at most a coarse cell of the enlarged image off."""
    wide, close = (matches.points1, matches.points0) if is_older_zoomed else (matches.points0, matches.points1)
    return np.linalg.norm(to_middle(wide) - close, axis=1) < 8


@pytest.mark.parametrize("is_older_zoomed", [False, True])
def test_a_weak_pair_at_another_scale_is_matched_at_half_the_size(loftr, is_older_zoomed):
    wide, close, to_middle = zoomed_pair()
    older, newer = (close, wide) if is_older_zoomed else (wide, close)
    known = np.array([[181.3, 150.2], [210.7, 120.4]])
    view = View(0, older, loftr.encode(older), known)
    plain = turned_matcher(loftr).match(view, View(1, newer), 0, weak=0.0)
    found = turned_matcher(loftr).match(view, View(1, newer), 0)
    assert strength(plain.matches) < WEAK < strength(found.matches)
    assert of_the_same_place(plain.matches, is_older_zoomed, to_middle).sum() < 20
    right = of_the_same_place(found.matches, is_older_zoomed, to_middle)
    assert right.sum() > 100
    assert right.mean() > 0.9
    nearest = np.linalg.norm(found.matches.points0[:, None] - known, axis=2).min(axis=0)
    assert nearest.max() < 1e-3  # known points are matched from where they lie in the image as it is
    assert (found.matches.size0, found.matches.size1) == (older.shape[::-1], newer.shape[::-1])
    assert (found.newer.width, found.newer.small) == (384, (384, 288))  # the features at full size are kept
    assert not found.is_tried_in_vain


def test_a_shift_is_measured_alike_at_half_the_size(loftr):
    """Pixel centres are at integers, so a point of the shrunk image lies half a pixel beside twice its place."""
    wide, close, to_middle = zoomed_pair()
    found = turned_matcher(loftr).match(View(0, wide), View(1, close), 0).matches
    off = to_middle(found.points0) - found.points1
    np.testing.assert_allclose(np.median(off, axis=0), 0, atol=0.05)


def test_images_are_not_matched_at_half_the_size_where_turning_is_off(loftr):
    wide, close, _ = zoomed_pair()
    off, never = (
        turned_matcher(loftr, rotation).match(View(0, wide), View(1, close), 0, weak=weak).matches
        for rotation, weak in (("off", WEAK), ("auto", 0.0))
    )
    np.testing.assert_array_equal(off.points1, never.points1)


def found_with(confidence, points0=None, points1=None, turns=0, vain=False):
    count = 200
    points0 = np.random.default_rng(0).uniform([0, 0], SIZE, (count, 2)) if points0 is None else points0
    points1 = points0 if points1 is None else points1
    sure = np.full(count, confidence, np.float32)
    matches = Matches(points0, points1, sure, sure, np.arange(count), np.arange(count), SIZE, SIZE)
    return TurnedMatches(matches, newer=None, turns=turns, is_tried_in_vain=vain)


def test_the_next_image_is_expected_as_this_one_was_found():
    points = np.random.default_rng(0).uniform([0, 0], SIZE, (200, 2))
    turned = turn_points(points, 1, SIZE)
    after = Following().after_match(found_with(0.8, points, turned))
    assert after.turns == 3
    assert after.after_keyframe().turns == 0
    assert after.after_match(found_with(0.05)) == after  # out of sight: nothing is learnt


def test_a_trial_in_vain_is_repeated_only_for_a_weaker_pair():
    difficult = Following().after_match(found_with(0.4, vain=True))
    assert 0.3 < difficult.weak < 0.4
    assert difficult.after_keyframe().weak == difficult.weak
    assert Following().after_match(found_with(0.4)).weak == WEAK
