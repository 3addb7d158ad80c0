"""Pairs whose images are turned to each other: image b turned on purpose, and matched as loftr_node turns images."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from loftr_ros.datasets.image_pairs import ImagePair
from loftr_ros.image_matcher import MatcherSettings, check_gray
from loftr_ros.matches import Matches
from loftr_ros.turning.expectation import expected_turns
from loftr_ros.turning.features import TurnedFeatures
from loftr_ros.turning.matching import Rotation, TurnedMatcher, View
from loftr_ros.turning.quarter_turns import (
    turn_camera_matrix,
    turn_image,
    turn_matrix,
    turn_points_back,
    turn_rotation,
)
from perception_common.geometry import transform
from replay_ros.evaluation.pairs.matchers import PointPairs
from replay_ros.evaluation.pairs.predictions import Predictor

_TURNED_IMAGES = 64 << 20  # bytes of turned images of a pair


def turn_pair(pair: ImagePair, turns: int, size_b: tuple[int, int]) -> ImagePair:
    """Return the pair with image b turned by quarter turns, its true geometry turned exactly.

    size_b: (width, height) of the stored image b. Raises InputError for a K_b with skew.
    """
    if pair.K_b is None or pair.T_ab is None:
        return pair if pair.H_ab is None else replace(pair, H_ab=turn_matrix(turns, size_b) @ pair.H_ab)
    T_turned_b = transform(turn_rotation(turns), np.zeros(3))
    return replace(pair, K_b=turn_camera_matrix(pair.K_b, turns, size_b), T_ab=T_turned_b @ pair.T_ab)


def true_turns(pair: ImagePair) -> int | None:
    """Return the quarter turns of image b that sensors would expect; None for a homography and opposite cameras."""
    return None if pair.T_ab is None else expected_turns(pair.T_ab[:3, :3].T)


def match_pair(
    predictor: Predictor, a: np.ndarray, b: np.ndarray, rotation: Rotation, expected: int | None
) -> PointPairs:
    """Match two gray images (H, W) uint8 as loftr_node turns them, see `TurnedMatcher`.

    The seconds of the result are those of all matchings that were needed, without encoding.
    """
    if rotation == "off":
        return predictor.match(a, b)
    matcher = _PredictedMatcher(predictor)
    turned = TurnedMatcher(matcher, rotation, TurnedFeatures(_TURNED_IMAGES))
    found = turned.match(View(0, a, matcher.encode(a)), View(1, b), expected).matches
    points_a, points_b, confidence = (
        values.astype(np.float64) for values in (found.points0, found.points1, found.confidence)
    )
    return PointPairs(points_a, points_b, confidence, sum(matcher.seconds))


@dataclass(frozen=True, eq=False)
class _TurnedImage:
    """An image that its predictor encodes. gray: turned. size: (width, height) before the turn."""

    gray: np.ndarray
    turns: int
    size: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Memory that keeping this costs, bytes."""
        return self.gray.nbytes

    @property
    def descriptor(self) -> np.ndarray:
        """Nothing: pairs are given, none are sought."""
        return np.zeros(0)


@dataclass(frozen=True, eq=False)
class _PredictedMatcher:
    """A predictor, with its kept matches, as an ImageMatcher. seconds: of each matching so far."""

    predictor: Predictor
    seconds: list[float] = field(default_factory=list)
    trained: bool = True
    device_name: str = ""
    repeats_keypoints: bool = False

    @property
    def name(self) -> str:
        """Name of the matcher."""
        return self.predictor.matcher.name

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights file in hex; empty where there is none."""
        return self.predictor.matcher.weights_sha256

    @property
    def turning_helps(self) -> bool:
        """Whether images are to be turned upright to each other."""
        return self.predictor.matcher.turning_helps

    def with_settings(self, settings: MatcherSettings) -> _PredictedMatcher:
        """Return this matcher: its settings are those of the predictor."""
        return self

    def encode(self, gray: np.ndarray, turns: int = 0, *, rough: bool = False) -> _TurnedImage:
        """Turn an image; the predictor encodes it when it is matched."""
        check_gray(gray)
        return _TurnedImage(turn_image(gray, turns), turns % 4, gray.shape[::-1])

    def match(
        self, image0: _TurnedImage, image1: _TurnedImage, known: np.ndarray | None = None, *, rough: bool = False
    ) -> Matches:
        """Match two images. The predictor tells no spread (NaN)."""
        found = self.predictor.match(image0.gray, image1.gray)
        self.seconds.append(found.seconds)
        order = np.argsort(-found.confidence, kind="stable")
        points0, points1 = (
            turn_points_back(points[order], image.turns, image.size).astype(np.float32)
            for points, image in ((found.points_a, image0), (found.points_b, image1))
        )
        count = len(order)
        return Matches(
            points0=points0,
            points1=points1,
            confidence=found.confidence[order].astype(np.float32),
            spread=np.full(count, np.nan, np.float32),
            cells0=np.arange(count),
            cells1=np.arange(count),
            size0=image0.size,
            size1=image1.size,
        )
