"""Cached matches of image pairs: estimators and thresholds sweep without running the network again."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from loftr_ros.image_matcher import MatcherSettings
from perception_common.array_files import read_arrays
from perception_common.atomic_file import make_folder, write_error
from perception_common.backends.devices import RuntimeChoice
from perception_common.errors import InputError
from replay_ros.evaluation.pairs.matchers import UNRESIZED, PairMatcher, PointPairs, load_pair_matcher

ENCODED_IMAGES = 32  # features kept in memory
_FORMAT = 1  # of the files; part of the hash in their names


@dataclass(frozen=True)
class MatcherOptions:
    """Matchers to load.

    names: see `load_pair_matcher`. model: network of a weights file; None: see `find_model_weights`. device: see
    `choose_device`. cache: folder of the cached matches; None: no cache. runtime: precision and backend.
    """

    names: tuple[str, ...] = ("loftr_lite",)
    model: str | None = None
    device: str = "auto"
    cache: Path | None = None
    runtime: RuntimeChoice = field(default_factory=RuntimeChoice)


def load_predictors(options: MatcherOptions, settings: MatcherSettings = UNRESIZED) -> list[Predictor]:
    """Load the matchers of the options; settings: of LoFTR. Raises InputError."""
    policy = options.runtime.on(options.device)
    return [
        Predictor(load_pair_matcher(name, options.model, policy, settings), options.cache) for name in options.names
    ]


class Predictor:
    """Matches images with one matcher and caches the matches in a folder, where one is given.

    A file is named after the hash of the matcher's name, weights and settings and of the pixels of both images. So a
    change of any of them computes the matches again, and several matchers may share a folder. `computed` and `read`
    count the pairs from the matcher and from the folder.
    """

    def __init__(self, matcher: PairMatcher, folder: Path | None = None) -> None:
        """Raises InputError when the folder cannot be created."""
        self.matcher = matcher
        self.computed = self.read = 0
        self._folder = folder
        self._identity = json.dumps([_FORMAT, matcher.name, matcher.weights_sha256, matcher.settings], sort_keys=True)
        self._encode = lru_cache(maxsize=ENCODED_IMAGES)(lambda image: matcher.encode(image.pixels))
        if folder is not None:
            make_folder(folder)

    def match(self, a: np.ndarray, b: np.ndarray) -> PointPairs:
        """Match two gray images (H, W) uint8."""
        image_a, image_b = _Image(a), _Image(b)
        if self._folder is None:
            return self._compute(image_a, image_b)
        key = hashlib.sha256(f"{self._identity} {image_a.digest} {image_b.digest}".encode()).hexdigest()
        path = self._folder / f"{key}.npz"
        found = _load(path)
        if found is None:
            found = self._compute(image_a, image_b)
            _save(path, found)
        else:
            self.read += 1
        return found

    def _compute(self, a: _Image, b: _Image) -> PointPairs:
        encode: Callable[[_Image], Any] = self._encode
        features_a, features_b = encode(a), encode(b)
        start = time.perf_counter()
        points_a, points_b, confidence = self.matcher.match(features_a, features_b)
        self.computed += 1
        return PointPairs(points_a, points_b, confidence, time.perf_counter() - start)


class _Image:
    """An image that compares and hashes by its content."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.digest = hashlib.sha256(f"{pixels.shape}".encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Image) and self.digest == other.digest


def _load(path: Path) -> PointPairs | None:
    """Return the matches of a file; None where it is missing or broken, so that it is written again."""
    try:
        arrays = read_arrays(path)
        return PointPairs(arrays["points_a"], arrays["points_b"], arrays["confidence"], float(arrays["seconds"]))
    except (InputError, KeyError, TypeError, ValueError):
        return None


def _save(path: Path, found: PointPairs) -> None:
    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            unfinished = Path(folder) / path.name
            np.savez(
                unfinished,
                points_a=found.points_a,
                points_b=found.points_b,
                confidence=found.confidence,
                seconds=found.seconds,
            )
            os.replace(unfinished, path)
    except OSError as error:
        raise write_error(path, error) from error
