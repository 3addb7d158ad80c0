"""The seam between the front end and a matcher: LoFTR, SIFT, or kept results of a replay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import cv2
import numpy as np

from loftr_ros.matches import Matches
from loftr_ros.network.config import SelectionConfig
from perception_common.errors import InputError

Padding = Literal["none", "release"]


@dataclass(frozen=True)
class MatcherSettings:
    """Settings that may change without loading a network again; None: the default of the model.

    An image whose long side exceeds `max_side` is shrunk to it before it is matched.
    padding: of LoFTR's images. "none": it takes any size. "release": they are padded below and on the right to squares
    that are masked, and in optimal transport the padded cells keep their mass, as in the authors' test on MegaDepth. It
    takes effect when a network is loaded.
    """

    max_side: int = 640  # pixels; 0: never shrink
    threshold: float | None = None  # lowest confidence of a match
    border: int | None = None  # LoFTR: coarse cells at the image's border that are never matched
    max_matches: int | None = None  # the most confident ones; 0: all
    padding: Padding = "none"

    def __post_init__(self) -> None:
        if self.max_side < 0:
            raise ValueError(f"max_side must not be negative, got {self.max_side}")
        self.select(SelectionConfig())

    def select(self, model: SelectionConfig) -> SelectionConfig:
        """Return the selection of a model with these settings in place of its defaults."""
        return SelectionConfig(
            threshold=model.threshold if self.threshold is None else self.threshold,
            border=model.border if self.border is None else self.border,
            max_matches=model.max_matches if self.max_matches is None else self.max_matches,
        )


DEFAULT_SETTINGS = MatcherSettings()


class EncodedImage(Protocol):
    """What a matcher keeps of an image, to match it again."""

    @property
    def nbytes(self) -> int:
        """Memory that keeping this costs, bytes."""

    @property
    def descriptor(self) -> np.ndarray:
        """Descriptor (D,) of the whole image, to find images of one place; see loops/descriptor.py."""

    @property
    def turns(self) -> int:
        """Quarter turns, 0 to 3, by which the image was turned before it was encoded; see turning/quarter_turns.py."""


Encoded = TypeVar("Encoded", bound=EncodedImage)


class ImageMatcher(Protocol[Encoded]):
    """Encodes each image once and matches pairs of encoded images."""

    @property
    def name(self) -> str:
        """Name of the model, as in the parameter `model`."""

    @property
    def trained(self) -> bool:
        """False: the weights are random and the matches mean nothing."""

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights file in hex; empty where there is none."""

    @property
    def device_name(self) -> str:
        """Where it computes, as "cpu" or "cuda:0"."""

    @property
    def repeats_keypoints(self) -> bool:
        """Whether an image has the same keypoints in every pair, so that equal points are the same keypoint."""

    @property
    def turning_helps(self) -> bool:
        """Whether matches are better when images that are turned to each other are turned back before `encode`."""

    def with_settings(self, settings: MatcherSettings) -> ImageMatcher[Encoded]:
        """Return this matcher with other settings; images that were encoded before stay valid."""

    def encode(self, gray: np.ndarray, turns: int = 0, *, rough: bool = False) -> Encoded:
        """Encode a gray image (H, W) uint8 of any size, turned by `turns` quarter turns if `turning_helps`.

        rough: for rough matches alone; a matcher may then leave out what only full matches need. Raises InputError for
        anything but a gray image.
        """

    def match(
        self, image0: Encoded, image1: Encoded, known: np.ndarray | None = None, *, rough: bool = False
    ) -> Matches:
        """Match two encoded images; the matches are in pixels of the images before they were turned.

        known: (K, 2) float64, pixels of the original image 0, points that were matched in other pairs, those with the
        longest tracks first. A matcher without repeatable keypoints matches them onward from where they lie. rough:
        only the confidences are needed; a matcher may then leave out what makes positions precise.
        """


def check_gray(image: np.ndarray) -> None:
    """Raise InputError unless the image is gray, (H, W) uint8, and not empty."""
    if image.ndim != 2 or image.dtype != np.uint8 or 0 in image.shape:
        raise InputError(f"expected a gray image (H, W) uint8, got {image.shape} {image.dtype}; convert with to_gray")


def shrink(image: np.ndarray, max_side: int) -> np.ndarray:
    """Return the image (H, W) with a long side of at most `max_side` pixels, by area averaging; 0: unchanged.

    Sides are rounded to whole pixels, so each axis has its own factor.
    """
    height, width = image.shape
    size = shrunk_size(width, height, max_side)
    return image if size == (width, height) else cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def shrunk_size(width: int, height: int, max_side: int) -> tuple[int, int]:
    """Return (width, height) of an image of that size after `shrink`."""
    long_side = max(height, width)
    if max_side == 0 or long_side <= max_side:
        return width, height
    return max(1, round(width * max_side / long_side)), max(1, round(height * max_side / long_side))


def to_original(points: np.ndarray, factors: tuple[float, float]) -> np.ndarray:
    """Map points (N, 2) of a shrunk image to the original, float32; factors (x, y): original size over shrunk size.

    Pixel centres are at integers (as in OpenCV and CameraInfo): pixel p of the shrunk image lies on
    (p + 0.5) * factor - 0.5 of the original.
    """
    return ((points + 0.5) * np.array(factors) - 0.5).astype(np.float32)


def to_shrunk(points: np.ndarray, factors: tuple[float, float]) -> np.ndarray:
    """Map points (N, 2) of the original to the shrunk image, float32; the inverse of `to_original`."""
    return ((points + 0.5) / np.array(factors) - 0.5).astype(np.float32)
