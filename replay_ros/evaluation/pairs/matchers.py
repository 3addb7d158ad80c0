"""The matchers of `evaluate_pairs` behind one interface: LoFTR and SIFT as the node runs them, and others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from loftr_ros.image_matcher import ImageMatcher, MatcherSettings
from loftr_ros.matcher import Matcher
from loftr_ros.sift_matcher import KEYPOINTS, RATIO, SiftMatcher
from perception_common.backends.devices import DevicePolicy
from perception_common.config import to_mapping
from perception_common.resources import list_models
from replay_ros.evaluation.model_choice import find_model_weights
from replay_ros.evaluation.pairs.other_packages import (
    ALIKED_LIGHTGLUE,
    KORNIA_LOFTR,
    KorniaLoftrMatcher,
    LightGlueMatcher,
    is_installed,
)

BASELINES = ("sift", "orb")
NODE_SIFT = "sift_mutual"  # the model `sift` of loftr_node, which matches mutually
KEYPOINT_METHODS = (*BASELINES, NODE_SIFT, ALIKED_LIGHTGLUE)
ALL = "all"
UNRESIZED = MatcherSettings(max_side=0)  # images are resized by the evaluation, for every matcher alike


@dataclass(frozen=True, eq=False)
class PointPairs:
    """Matching pixels of two images.

    points_a, points_b: (N, 2) float64. confidence: (N,) float64, larger is better. seconds: time of the matching,
    without the encoding of the two images.
    """

    points_a: np.ndarray
    points_b: np.ndarray
    confidence: np.ndarray
    seconds: float = 0.0

    def __len__(self) -> int:
        """Count the matches."""
        return len(self.points_a)

    def best(self, count: int) -> PointPairs:
        """Return the `count` most confident matches, best first; all in their order where there are no more."""
        if len(self) <= count:
            return self
        order = np.argsort(-self.confidence, kind="stable")[:count]
        return PointPairs(self.points_a[order], self.points_b[order], self.confidence[order], self.seconds)


NO_PAIRS = PointPairs(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0))


class PairMatcher(Protocol):
    """Finds matching points in two encoded images."""

    name: str
    weights_sha256: str  # empty without weights
    settings: Mapping[str, Any]  # plain values: everything else that the matches depend on
    turning_helps: bool  # whether matches are better when images are turned upright to each other

    def encode(self, gray: np.ndarray) -> Any:
        """Compute the features of an image (H, W) uint8 that `match` takes."""

    def match(self, a: Any, b: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return matching pixels of both images, (N, 2) float64 each, and their confidence (N,) float64."""


@dataclass(frozen=True)
class BaselineKeypoints:
    """BaselineKeypoints of an image. points: (N, 2) float64, pixels. descriptors: (N, D)."""

    points: np.ndarray
    descriptors: np.ndarray


class BaselineMatcher:
    """OpenCV's SIFT or ORB with the ratio test alone: the baselines of published figures."""

    weights_sha256 = ""
    turning_helps = False  # both are invariant to rotation

    def __init__(self, name: str) -> None:
        self.name = name
        self._detector: Any = cv2.SIFT.create(KEYPOINTS) if name == "sift" else cv2.ORB.create(KEYPOINTS)
        self._border = 0 if name == "sift" else self._detector.getEdgeThreshold()  # pixels without keypoints
        self._matcher = cv2.BFMatcher(cv2.NORM_L2 if name == "sift" else cv2.NORM_HAMMING)
        self.settings: Mapping[str, Any] = {"keypoints": KEYPOINTS, "ratio": RATIO, "opencv": cv2.__version__}

    def encode(self, gray: np.ndarray) -> BaselineKeypoints:
        """Detect and describe keypoints; an image without room for one inside its border has none."""
        keypoints: Sequence[Any] = ()
        descriptors = None
        if min(gray.shape) > 2 * self._border:  # OpenCV's pyramid fails on an image of one row or column
            keypoints, descriptors = self._detector.detectAndCompute(gray, None)
        if descriptors is None:
            return BaselineKeypoints(np.zeros((0, 2)), np.zeros((0, self._detector.descriptorSize())))
        return BaselineKeypoints(np.array([keypoint.pt for keypoint in keypoints], np.float64), descriptors)

    def match(self, a: BaselineKeypoints, b: BaselineKeypoints) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Match nearest descriptors that pass the ratio test; the confidence is 1 minus the ratio."""
        if len(a.points) == 0 or len(b.points) < 2:
            return np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0)
        pairs = self._matcher.knnMatch(a.descriptors, b.descriptors, k=2)
        chosen = [
            (best.queryIdx, best.trainIdx, 1 - best.distance / second.distance)
            for best, second in pairs
            if best.distance < RATIO * second.distance
        ]
        index_a, index_b, confidence = np.array(chosen, np.float64).reshape(-1, 3).T
        return a.points[index_a.astype(int)], b.points[index_b.astype(int)], confidence


class SeamMatcher:
    """A matcher of the node, LoFTR or SIFT, on images at the size at which they are given."""

    def __init__(self, name: str, matcher: ImageMatcher[Any], settings: Mapping[str, Any]) -> None:
        self.name = name
        self.weights_sha256 = matcher.weights_sha256
        self.settings = settings
        self.turning_helps = matcher.turning_helps
        self._matcher = matcher

    def encode(self, gray: np.ndarray) -> Any:
        """Encode an image."""
        return self._matcher.encode(gray)

    def match(self, a: Any, b: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Match two images."""
        matches = self._matcher.match(a, b)
        points0, points1, confidence = (
            values.astype(np.float64) for values in (matches.points0, matches.points1, matches.confidence)
        )
        return points0, points1, confidence


def _loftr_settings(matcher: Matcher) -> dict[str, Any]:
    return {
        "model": matcher.name,
        "network": to_mapping(matcher.network.config),
        "matcher": to_mapping(matcher.settings),
        "device": matcher.policy.name if matcher.policy.providers else matcher.device.type,
        "precision": str(matcher.policy.dtype),
    }


def expand_names(names: Sequence[str]) -> tuple[str, ...]:
    """Replace "all" by loftr_lite, the baselines and ALIKED with LightGlue where installed; drop repeated names."""
    every = ("loftr_lite", *BASELINES, *([ALIKED_LIGHTGLUE] if is_installed(ALIKED_LIGHTGLUE) else []))
    return tuple(dict.fromkeys(each for name in names for each in (every if name == ALL else (name,))))


def load_pair_matcher(
    name: str, model: str | None, policy: DevicePolicy, settings: MatcherSettings = UNRESIZED
) -> PairMatcher:
    """Load a matcher: "sift", "orb", "sift_mutual", a LoFTR variant with shipped weights, or a weights file.

    "aliked_lightglue" and "kornia_loftr=CHECKPOINT" are those of other packages, see other_packages.py.
    model: the variant of a weights file; None: see `find_model_weights`. settings: of LoFTR; by default the caller
    resizes the images. Raises InputError for other names.
    """
    if name in BASELINES:
        return BaselineMatcher(name)
    if name == NODE_SIFT:
        facts = {"keypoints": KEYPOINTS, "ratio": RATIO, "mutual": True, "opencv": cv2.__version__}
        return SeamMatcher(name, SiftMatcher(settings), facts | {"matcher": to_mapping(settings)})
    if name == ALIKED_LIGHTGLUE:
        return LightGlueMatcher(policy.device)
    if name.startswith(f"{KORNIA_LOFTR}="):
        return KorniaLoftrMatcher(Path(name.removeprefix(f"{KORNIA_LOFTR}=")), policy.device)
    variants = [f"loftr_{variant}" for variant in list_models("loftr_")]
    model, weights = find_model_weights(name, model, default="loftr_lite", variants=variants, others=KEYPOINT_METHODS)
    matcher = Matcher.load(model, weights, policy, settings)
    return SeamMatcher(name if name in variants else Path(name).name, matcher, _loftr_settings(matcher))
