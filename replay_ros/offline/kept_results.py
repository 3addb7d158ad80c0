"""What the networks answered, kept on disk while a replay runs, so that a broken run goes on where it stopped.

The cores are pure: the same image gives the same answer. `KeptDetector` and `KeptMatcher` stand in for `Detector` and
`Matcher`; they run the network only for images that were not answered before.
"""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from loftr_ros.matcher import Features, Matcher, MatcherSettings, Matches
from perception_common.errors import InputError
from yolc_ros.clusters import Region
from yolc_ros.detector import Detections, Detector

_MATCH_ARRAYS = ("points0", "points1", "confidence", "spread", "cells0", "cells1")
_BOX_ARRAYS = ("boxes", "scores", "labels", "region")


@dataclass(frozen=True)
class ResultCache:
    """Arrays by name, one file each, below a folder."""

    folder: Path

    def keep(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Write arrays, all or nothing. Raises InputError when that fails."""
        path = self._path(name)
        unfinished = path.with_suffix(".unfinished")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            os.replace(unfinished, path)
        except OSError as error:
            raise InputError(f"{path} cannot be written ({error.strerror}); free some space") from error

    def find(self, name: str) -> dict[str, np.ndarray] | None:
        """Return kept arrays; None where there are none, or broken ones."""
        try:
            with np.load(self._path(name), allow_pickle=False) as file:
                return dict(file)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"


@dataclass(frozen=True)
class KeptDetector:
    """A detector that answers an image it has seen from the cache. `seconds` of an answer are those of the network."""

    detector: Detector
    cache: ResultCache

    def detect(self, image: np.ndarray) -> tuple[Detections, float]:
        """Detect objects in an RGB image (H, W, 3) uint8; also return how long the network took for it."""
        name = f"detections/{_digest(image)}"
        kept = self.cache.find(name)
        if kept is not None:
            regions = tuple(Region(*(int(v) for v in row[:4]), *row[4:].tolist()) for row in kept["regions"])
            arrays = {key: kept[key] for key in _BOX_ARRAYS}
            found = Detections(**arrays, regions=regions, class_names=self.detector.class_names)
            return found, float(kept["seconds"])
        start = time.perf_counter()
        found = self.detector.detect(image)
        seconds = time.perf_counter() - start
        regions_array = np.array([[r.x0, r.y0, r.x1, r.y1, r.expected, r.scale] for r in found.regions], np.float64)
        arrays_of = {key: getattr(found, key) for key in _BOX_ARRAYS}
        self.cache.keep(name, arrays_of | {"regions": regions_array.reshape(-1, 6), "seconds": np.array(seconds)})
        return found, seconds


class ImageToMatch:
    """An image whose features are computed when somebody needs them. It says the memory that they would take."""

    def __init__(self, image: np.ndarray, encode: Callable[[np.ndarray], Features], nbytes: int | None):
        self.digest = _digest(image)
        self.size = image.shape[1], image.shape[0]
        self._image = image
        self._encode = encode
        self._nbytes = nbytes

    @cached_property
    def features(self) -> Features:
        """The features, from the network."""
        return self._encode(self._image)

    @property
    def nbytes(self) -> int:
        """Memory that the features cost."""
        return self.features.nbytes if self._nbytes is None else self._nbytes


class KeptMatcher:
    """A matcher that answers a pair of images it has seen from the cache, for use in the matching front end."""

    def __init__(self, matcher: Matcher, cache: ResultCache):
        self._matcher = matcher
        self._cache = cache

    @property
    def name(self) -> str:
        """The network variant."""
        return self._matcher.name

    @property
    def trained(self) -> bool:
        """Whether the weights come from a file."""
        return self._matcher.trained

    def with_settings(self, settings: MatcherSettings) -> KeptMatcher:
        """Return this matcher with other settings."""
        return KeptMatcher(self._matcher.with_settings(settings), self._cache)

    def encode(self, gray: np.ndarray) -> ImageToMatch:
        """Take an image (H, W) uint8."""
        kept = self._cache.find(f"sizes/{gray.shape[1]}x{gray.shape[0]}")
        image = ImageToMatch(gray, self._matcher.encode, None if kept is None else int(kept["nbytes"]))
        if kept is None:
            self._cache.keep(f"sizes/{gray.shape[1]}x{gray.shape[0]}", {"nbytes": np.array(image.nbytes)})
        return image

    def match(self, image0: ImageToMatch, image1: ImageToMatch) -> Matches:
        """Match two images."""
        name = f"matches/{image0.digest}_{image1.digest}"
        kept = self._cache.find(name)
        if kept is not None:
            return Matches(**{key: kept[key] for key in _MATCH_ARRAYS}, size0=image0.size, size1=image1.size)
        found = self._matcher.match(image0.features, image1.features)
        self._cache.keep(name, {key: getattr(found, key) for key in _MATCH_ARRAYS})
        return found


def _digest(image: np.ndarray) -> str:
    shape = "x".join(map(str, image.shape)).encode()
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16, key=shape).hexdigest()
