"""A detector and a matcher that run their network only for images without a kept result.

Networks are pure functions: the same image gives the same result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Generic

import numpy as np

from loftr_ros.image_matcher import Encoded, ImageMatcher, MatcherSettings
from loftr_ros.matches import Matches
from replay_ros.offline.result_cache import ResultCache
from yolc_ros.adaptive import AdaptiveDetector, LookSettings, LookState
from yolc_ros.clusters import Region
from yolc_ros.detector import Detections, Detector
from yolc_ros.looks.bands import Band, GroundView
from yolc_ros.looks.search import ScaleState

_MATCH_ARRAYS = ("points0", "points1", "confidence", "spread", "cells0", "cells1")
_BOX_ARRAYS = ("boxes", "scores", "labels", "region")


@dataclass
class KeptDetector:
    """A detector that reads the result of an image from the cache where there is one.

    looks: how the scale is chosen; what one image leaves for the next is kept with its result. Budgets do not hold: the
    result must not depend on the speed of the machine.
    """

    detector: Detector
    cache: ResultCache
    looks: LookSettings = field(default_factory=LookSettings)
    scale: ScaleState = field(default_factory=ScaleState)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.detector.name

    @property
    def trained(self) -> bool:
        """False: the weights are random."""
        return self.detector.trained

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each label."""
        return self.detector.class_names

    def forget(self) -> None:
        """Search the scale anew with the next image."""
        self.scale = ScaleState()

    def detect(self, image: np.ndarray, view: GroundView | None = None) -> Detections:
        """Detect objects in an RGB image (H, W, 3) uint8. view: of the ground, for the scale "ground"."""
        before = "" if self.looks.mode == "fixed" else f"_{_digest_of(self.scale, view)}"
        name = f"detections/{_digest(image)}{before}"
        kept = self.cache.find(name)
        if kept is not None:
            regions = tuple(Region(*(int(v) for v in row[:4]), *row[4:].tolist()) for row in kept["regions"])
            arrays = {key: kept[key] for key in _BOX_ARRAYS}
            bands = tuple(Band(int(row[0]), int(row[1]), float(row[2])) for row in kept["bands"])
            scale, age, width, height = kept["scale"].tolist()
            self.scale = ScaleState(scale or None, int(age), (int(width), int(height)))
            return Detections(**arrays, regions=regions, class_names=self.class_names, bands=bands)
        found = self._detect(image, view)
        regions_array = np.array([[r.x0, r.y0, r.x1, r.y1, r.expected, r.scale] for r in found.regions], np.float64)
        boxes = {key: getattr(found, key) for key in _BOX_ARRAYS}
        bands_array = np.array([[band.y0, band.y1, band.scale] for band in found.bands], np.float64)
        self.cache.keep(
            name,
            boxes
            | {
                "regions": regions_array.reshape(-1, 6),
                "bands": bands_array.reshape(-1, 3),
                "scale": np.array([self.scale.scale or 0.0, self.scale.age, *self.scale.size], np.float64),
            },
        )
        return found

    def _detect(self, image: np.ndarray, view: GroundView | None) -> Detections:
        if self.looks.mode == "fixed":
            return self.detector.detect(image)
        adaptive = AdaptiveDetector(self.detector, replace(self.looks, budget=None))
        found, state = adaptive.detect(image, LookState(self.scale), view)
        self.scale = state.scale
        return found


class LazyImage(Generic[Encoded]):
    """An image that is encoded when it is first needed. It knows its size in memory without being encoded."""

    def __init__(
        self,
        image: np.ndarray,
        turns: int,
        encode: Callable[[np.ndarray, int], Encoded],
        nbytes: int | None,
        cache: ResultCache,
    ):
        self.turns = turns % 4
        self.digest = _digest(image) + (f"_turned{self.turns}" if self.turns else "")
        self.size = image.shape[1], image.shape[0]
        self._image = image
        self._encode = encode
        self._nbytes = nbytes
        self._cache = cache

    @cached_property
    def encoded(self) -> Encoded:
        """The encoded image."""
        return self._encode(self._image, self.turns)

    @property
    def nbytes(self) -> int:
        """Memory that the encoded image costs, bytes."""
        return self.encoded.nbytes if self._nbytes is None else self._nbytes

    @cached_property
    def descriptor(self) -> np.ndarray:
        """Descriptor (D,) of the whole image, from the cache where it is there."""
        name = f"descriptors/{self.digest}"
        kept = self._cache.find(name)
        if kept is not None:
            return kept["descriptor"]
        self._cache.keep(name, {"descriptor": self.encoded.descriptor})
        return self.encoded.descriptor


class KeptMatcher(Generic[Encoded]):
    """A matcher that reads the matches of a pair of images from the cache where there are some."""

    def __init__(self, matcher: ImageMatcher[Encoded], cache: ResultCache):
        self._matcher = matcher
        self._cache = cache

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._matcher.name

    @property
    def trained(self) -> bool:
        """False: the weights are random."""
        return self._matcher.trained

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights file in hex; empty where there is none."""
        return self._matcher.weights_sha256

    @property
    def device_name(self) -> str:
        """Where the matcher computes."""
        return self._matcher.device_name

    @property
    def repeats_keypoints(self) -> bool:
        """Whether an image has the same keypoints in every pair."""
        return self._matcher.repeats_keypoints

    @property
    def turning_helps(self) -> bool:
        """Whether images are to be turned upright to each other."""
        return self._matcher.turning_helps

    def with_settings(self, settings: MatcherSettings) -> KeptMatcher[Encoded]:
        """Return this matcher with other settings."""
        return KeptMatcher(self._matcher.with_settings(settings), self._cache)

    def encode(self, gray: np.ndarray, turns: int = 0, *, rough: bool = False) -> LazyImage[Encoded]:
        """Take an image (H, W) uint8 and the quarter turns by which it is turned.

        The size in memory of an encoded image is kept by image size, except where it depends on the image itself.
        """
        encode = partial(self._matcher.encode, rough=rough)
        if self._matcher.repeats_keypoints:  # as many bytes as it has keypoints
            return LazyImage(gray, turns, encode, None, self._cache)
        name = f"sizes/{gray.shape[1]}x{gray.shape[0]}" + ("_rough" if rough else "")
        kept = self._cache.find(name)
        nbytes = None if kept is None else int(kept["nbytes"])
        image = LazyImage(gray, turns, encode, nbytes, self._cache)
        if kept is None:
            self._cache.keep(name, {"nbytes": np.array(image.nbytes)})
        return image

    def match(
        self,
        image0: LazyImage[Encoded],
        image1: LazyImage[Encoded],
        known: np.ndarray | None = None,
        *,
        rough: bool = False,
    ) -> Matches:
        """Match two images."""
        name = f"matches/{image0.digest}_{image1.digest}"
        if known is not None and not self._matcher.repeats_keypoints:
            name += f"_{_digest(known)}"
        if rough:
            name += "_rough"
        kept = self._cache.find(name)
        if kept is not None:
            return Matches(**{key: kept[key] for key in _MATCH_ARRAYS}, size0=image0.size, size1=image1.size)
        found = self._matcher.match(image0.encoded, image1.encoded, known, rough=rough)
        self._cache.keep(name, {key: getattr(found, key) for key in _MATCH_ARRAYS})
        return found


def _digest_of(scale: ScaleState, view: GroundView | None) -> str:
    return hashlib.blake2b(repr((scale, view)).encode(), digest_size=8).hexdigest()


def _digest(image: np.ndarray) -> str:
    shape = "x".join(map(str, image.shape)).encode()
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16, key=shape).hexdigest()
