"""SIFT as a matcher (Lowe, IJCV 2004): for boards that are too small for LoFTR, and for comparison.

Keypoints of an image are the same in every pair, so their ids persist exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from loftr_ros.image_matcher import DEFAULT_SETTINGS, MatcherSettings, check_gray, shrink, to_original
from loftr_ros.loops.descriptor import describe
from loftr_ros.matches import Matches

NAME = "sift"
KEYPOINTS = 4000  # most keypoints of an image, as in the published baselines of shared pair sets
RATIO = 0.8  # a match must be nearer than this times the second best (Lowe 2004, section 7.1)
# Standard deviation of a match over the scale of its keypoint: measured on homographies of 32 aerial photographs at 640
# pixels, 0.14 for the smallest keypoints to 0.08 for the largest.
SPREAD_PER_SCALE = 0.1


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Keypoints of one image.

    points: (N, 2) float32, pixels of the shrunk image. scales: (N,) float32, scale sigma of each keypoint, pixels of
    the shrunk image. descriptors: (N, 128) float32. width, height: of the original image, pixels. factors: original
    size over shrunk size, (x, y).
    """

    points: np.ndarray
    scales: np.ndarray
    descriptors: np.ndarray
    width: int
    height: int
    factors: tuple[float, float]

    @property
    def turns(self) -> int:
        """0: SIFT never needs a turned image."""
        return 0

    @property
    def nbytes(self) -> int:
        """Memory that keeping this costs, bytes."""
        return self.points.nbytes + self.scales.nbytes + self.descriptors.nbytes

    @property
    def descriptor(self) -> np.ndarray:
        """Descriptor (D,) of the whole image, from RootSIFT (Arandjelovic and Zisserman, CVPR 2012)."""
        total = np.maximum(self.descriptors.sum(axis=1, keepdims=True), 1e-12)
        root = np.sqrt(self.descriptors / total)
        off = root - root.mean(axis=0) if len(root) else root
        return describe(off.T @ off / max(len(off), 1))


@dataclass(frozen=True)
class SiftMatcher:
    """SIFT keypoints matched mutually with the ratio test.

    The confidence of a match is 1 - d1 / d2, with the descriptor distances d1 of the match and d2 of the second best. A
    settings.threshold of None stands for a ratio of RATIO.
    """

    settings: MatcherSettings = DEFAULT_SETTINGS

    @property
    def name(self) -> str:
        """Name of the model."""
        return NAME

    @property
    def trained(self) -> bool:
        """True: there are no weights to be trained."""
        return True

    @property
    def weights_sha256(self) -> str:
        """Empty: there is no weights file."""
        return ""

    @property
    def device_name(self) -> str:
        """OpenCV's SIFT runs on the CPU."""
        return "cpu"

    @property
    def repeats_keypoints(self) -> bool:
        """True: an image has the same keypoints in every pair."""
        return True

    @property
    def turning_helps(self) -> bool:
        """False: SIFT is invariant to rotation, each keypoint has its own orientation."""
        return False

    def with_settings(self, settings: MatcherSettings) -> SiftMatcher:
        """Return this matcher with other settings."""
        return replace(self, settings=settings)

    def encode(self, gray: np.ndarray, turns: int = 0, *, rough: bool = False) -> Keypoints:
        """Detect and describe keypoints of a gray image (H, W) uint8, never turned. rough: not used.

        Raises InputError for anything but a gray image.
        """
        check_gray(gray)
        small = shrink(gray, self.settings.max_side)
        detector: Any = cv2.SIFT.create(KEYPOINTS)
        found, descriptors = detector.detectAndCompute(small, None)
        if descriptors is None:
            found, descriptors = (), np.zeros((0, 128), np.float32)
        height, width = gray.shape
        return Keypoints(
            points=np.array([keypoint.pt for keypoint in found], np.float32).reshape(-1, 2),
            scales=np.array([keypoint.size / 2 for keypoint in found], np.float32),  # `size` is a diameter
            descriptors=descriptors,
            width=width,
            height=height,
            factors=(width / small.shape[1], height / small.shape[0]),
        )

    def match(
        self, image0: Keypoints, image1: Keypoints, known: np.ndarray | None = None, *, rough: bool = False
    ) -> Matches:
        """Match two images; a keypoint has at most one match. known, rough: not used, as the keypoints repeat."""
        index0, index1, confidence = _mutual_matches(image0.descriptors, image1.descriptors)
        threshold = 1 - RATIO if self.settings.threshold is None else self.settings.threshold
        order = np.argsort(-confidence, kind="stable")
        order = order[confidence[order] > threshold]
        points0 = to_original(image0.points[index0], image0.factors)
        points1 = to_original(image1.points[index1], image1.factors)
        # A place with several orientations is several keypoints at one point: keep its best match.
        order = order[_first_of_each(points0[order]) & _first_of_each(points1[order])]
        order = order[: self.settings.max_matches or None]
        spread = SPREAD_PER_SCALE * image1.scales[index1] * np.float32(sum(image1.factors) / 2)
        return Matches(
            points0=points0[order],
            points1=points1[order],
            confidence=confidence[order].astype(np.float32),
            spread=spread[order],
            cells0=index0[order],
            cells1=index1[order],
            size0=(image0.width, image0.height),
            size1=(image1.width, image1.height),
        )


def _mutual_matches(descriptors0: np.ndarray, descriptors1: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices (N,), (N,) int64 of descriptors that are nearest to each other, and 1 - d1 / d2 (N,) float64."""
    if len(descriptors0) == 0 or len(descriptors1) < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    back = np.array([match.trainIdx for match in matcher.match(descriptors1, descriptors0)], np.int64)
    found = [
        (best.queryIdx, best.trainIdx, 1 - best.distance / second.distance)
        for best, second in matcher.knnMatch(descriptors0, descriptors1, k=2)
        if second.distance > 0 and back[best.trainIdx] == best.queryIdx
    ]
    columns = np.array(found, np.float64).reshape(-1, 3).T
    return columns[0].astype(np.int64), columns[1].astype(np.int64), columns[2]


def _first_of_each(points: np.ndarray) -> np.ndarray:
    """Flags (N,) bool of the points (N, 2) that do not repeat an earlier one."""
    is_first = np.zeros(len(points), bool)
    is_first[np.unique(points, axis=0, return_index=True)[1]] = True
    return is_first
