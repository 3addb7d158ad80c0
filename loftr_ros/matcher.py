"""Images in, matches out: resizing, precision, weights and the way back to pixels of the original images.

An image whose long side exceeds `max_side` is shrunk to it by area averaging; a smaller one stays as it is, and
none is padded or cut, for the network takes any size. Sides are rounded to whole pixels, so each axis has its own
factor. Pixel centres are at integers throughout (as in OpenCV and CameraInfo): pixel p of the network's input lies on
(p + 0.5) * factor - 0.5 of the original.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from loftr_ros.network.config import LoFTRConfig, SelectionConfig
from loftr_ros.network.loftr import ImageFeatures, LoFTR, prepare_for_inference
from perception_common.backends.devices import DevicePolicy
from perception_common.config import load_yaml
from perception_common.errors import InputError
from perception_common.resources import find_config
from perception_common.weights import WeightsReport, load_chosen_weights

SEED = 0  # of random weights


@dataclass(frozen=True)
class MatcherSettings:
    """What may change without loading the network anew; None: as the model's file says."""

    max_side: int = 640  # pixels; larger images are shrunk to it, 0: never
    threshold: float | None = None  # confidence
    border: int | None = None  # coarse cells at the image's border that are never matched
    max_matches: int | None = None  # the most confident ones; 0: all

    def __post_init__(self) -> None:
        if self.max_side < 0:
            raise ValueError(f"max_side must not be negative, got {self.max_side}")
        self.select(SelectionConfig())

    def select(self, model: SelectionConfig) -> SelectionConfig:
        """Return the selection of these settings over that of the model."""
        return SelectionConfig(
            threshold=model.threshold if self.threshold is None else self.threshold,
            border=model.border if self.border is None else self.border,
            max_matches=model.max_matches if self.max_matches is None else self.max_matches,
        )


@dataclass(frozen=True, eq=False)
class Features:
    """What the network knows of one image; keep it to match the image again.

    width, height: of the original image, pixels. factors: pixels of the original to one of the input, (x, y).
    blank: all pixels are the same, so that there is nothing to match.
    """

    network: ImageFeatures
    width: int
    height: int
    factors: tuple[float, float]
    blank: bool

    @property
    def nbytes(self) -> int:
        """Memory that keeping this costs."""
        return self.network.coarse.nbytes + self.network.fine.nbytes


@dataclass(frozen=True, eq=False)
class Matches:
    """Matches of two images, best confidence first; of equals the one in the lower coarse cell of image 0.

    points0, points1: (N, 2) float32, pixels (x, y) of the original images. confidence: (N,) float32, 0 to 1.
    spread: (N,) float32, standard deviation of points1 as the network sees it, mean over x and y, pixels of the
    original image 1. cells0, cells1: (N,) int64, coarse cells of the network's input, row-major.
    size0, size1: (width, height) of the original images.
    """

    points0: np.ndarray
    points1: np.ndarray
    confidence: np.ndarray
    spread: np.ndarray
    cells0: np.ndarray
    cells1: np.ndarray
    size0: tuple[int, int]
    size1: tuple[int, int]

    def __len__(self) -> int:
        """Count the matches."""
        return len(self.points0)


@dataclass(frozen=True, eq=False)
class Matcher:
    """A network ready for inference. `weights` is None while they are random: the matches mean nothing then."""

    name: str
    network: LoFTR
    policy: DevicePolicy
    settings: MatcherSettings
    weights: WeightsReport | None

    @classmethod
    def load(
        cls,
        name: str,
        weights: Path | str | None,
        policy: DevicePolicy,
        settings: MatcherSettings = MatcherSettings(),
        *,
        sha256: str | None = None,
    ) -> Matcher:
        """Build the network of config/models/NAME.yaml, as "loftr_lite", and load weights into it.

        weights: a file; "default": the ones that are shipped for this model, if any; "none" or None: none. Without
        weights they are random, the same at each call, and `trained` is False. sha256: expected digest of the file.
        Raises InputError for an unknown model and for files that are missing or do not fit.
        """
        config = load_yaml(LoFTRConfig, find_config(f"models/{name}.yaml"))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            network = LoFTR(config)
        report = load_chosen_weights(network, name, weights, sha256=sha256)
        return cls.from_network(network, policy, settings, name=name, weights=report)

    @classmethod
    def from_network(
        cls,
        network: LoFTR,
        policy: DevicePolicy,
        settings: MatcherSettings = MatcherSettings(),
        *,
        name: str = "loftr",
        weights: WeightsReport | None = None,
    ) -> Matcher:
        """Use a copy of a network that is at hand, as in training; `network` is left as it is."""
        prepared = prepare_for_inference(network).to(policy.device, policy.dtype)
        return cls(name, prepared, policy, settings, weights)

    @property
    def trained(self) -> bool:
        """Whether the weights come from a file."""
        return self.weights is not None

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights file in hex; empty for random weights."""
        return self.weights.sha256 if self.weights else ""

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.policy.device

    def with_settings(self, settings: MatcherSettings) -> Matcher:
        """Return this matcher with other settings; features that were kept stay valid."""
        return replace(self, settings=settings)

    @torch.inference_mode()
    def encode(self, gray: np.ndarray) -> Features:
        """Compute the features of a gray image (H, W) uint8 of any size. InputError for anything else."""
        if gray.ndim != 2 or gray.dtype != np.uint8 or 0 in gray.shape:
            raise InputError(f"expected a gray image (H, W) uint8, got {gray.shape} {gray.dtype}; convert with to_gray")
        height, width = gray.shape
        small = shrink(gray, self.settings.max_side)
        pixels = torch.from_numpy(small.astype(np.float32) / 255)[None, None]
        features = self.network.encode(pixels.to(self.policy.device, self.policy.dtype))
        factors = width / small.shape[1], height / small.shape[0]
        return Features(features, width, height, factors, blank=bool(gray.min() == gray.max()))

    @torch.inference_mode()
    def match(self, features0: Features, features1: Features) -> Matches:
        """Match two images. Matches that the network places outside of image 1 are left out."""
        selection = self.settings.select(self.network.config.selection)
        (found,) = self.network.match(features0.network, features1.network, selection)
        points0 = to_original(found.points0.cpu().numpy(), features0.factors)
        points1 = to_original(found.points1.cpu().numpy(), features1.factors)
        size1 = features1.width, features1.height
        inside = np.all((points1 >= -0.5) & (points1 <= np.array(size1) - 0.5), axis=1)
        keep = inside & (not (features0.blank or features1.blank))
        return Matches(
            points0[keep],
            points1[keep],
            found.confidence.cpu().numpy()[keep],
            found.spread.cpu().numpy()[keep] * np.float32(sum(features1.factors) / 2),
            found.cells0.cpu().numpy()[keep],
            found.cells1.cpu().numpy()[keep],
            (features0.width, features0.height),
            size1,
        )


def shrink(image: np.ndarray, max_side: int) -> np.ndarray:
    """Return the image (H, W) with a long side of at most `max_side` pixels, by area averaging; 0: as it is."""
    height, width = image.shape
    long_side = max(height, width)
    if max_side == 0 or long_side <= max_side:
        return image
    size = (max(1, round(width * max_side / long_side)), max(1, round(height * max_side / long_side)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def to_original(points: np.ndarray, factors: tuple[float, float]) -> np.ndarray:
    """Map points (N, 2) of a shrunk image to the original, float32; factors (x, y): original size over shrunk size."""
    return ((points + 0.5) * np.array(factors) - 0.5).astype(np.float32)
