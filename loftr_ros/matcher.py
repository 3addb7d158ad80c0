"""LoFTR as a matcher: shrinks images, runs the network and maps the matches back to pixels of the original images.

Images are neither padded nor cut, unless the settings ask for the authors' padding: the network takes any size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from loftr_ros.image_matcher import DEFAULT_SETTINGS, MatcherSettings, check_gray, shrink, to_original, to_shrunk
from loftr_ros.matches import Matches
from loftr_ros.network.config import LoFTRConfig
from loftr_ros.network.loftr import ImageFeatures, LoFTR, prepare_for_inference
from perception_common.backends.devices import DevicePolicy
from perception_common.backends.finite import check_finite
from perception_common.config import load_yaml
from perception_common.resources import find_config
from perception_common.weights import WeightsReport, load_chosen_weights

SEED = 0  # of random weights


@dataclass(frozen=True, eq=False)
class Features:
    """Feature maps of one image; keep them to match the image again.

    width, height: of the original image, pixels. factors: original size over the size of the network's input, (x, y).
    blank: all pixels are equal, so that there is nothing to match.
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
class Matcher:
    """LoFTR ready for inference. weights: None while they are random; the matches mean nothing then."""

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
        settings: MatcherSettings = DEFAULT_SETTINGS,
        *,
        sha256: str | None = None,
    ) -> Matcher:
        """Build the network of config/models/NAME.yaml, as "loftr_lite", and load weights into it.

        weights: a file; "default": the ones that are shipped for this model, if any; "none" or None: none. Without
        weights they are random, the same at each call, and `trained` is False. sha256: expected digest of the file.
        Raises InputError for an unknown model and for files that are missing or do not fit.
        """
        config = load_yaml(LoFTRConfig, find_config(f"models/{name}.yaml"))
        if settings.padding == "release":
            config = replace(config, matching=replace(config.matching, padding="release"))
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
        settings: MatcherSettings = DEFAULT_SETTINGS,
        *,
        name: str = "loftr",
        weights: WeightsReport | None = None,
    ) -> Matcher:
        """Use a copy of a network, as in training; `network` is not changed."""
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
    def device_name(self) -> str:
        """Where the network runs, as "cpu" or "cuda:0"."""
        return str(self.policy.device)

    @property
    def repeats_keypoints(self) -> bool:
        """False: LoFTR has no repeatable keypoints."""
        return False

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.policy.device

    def with_settings(self, settings: MatcherSettings) -> Matcher:
        """Return this matcher with other settings; features that were kept stay valid."""
        return replace(self, settings=settings)

    @torch.inference_mode()
    def encode(self, gray: np.ndarray) -> Features:
        """Compute the features of a gray image (H, W) uint8 of any size.

        Raises InputError for anything else, and when the features are not finite.
        """
        check_gray(gray)
        height, width = gray.shape
        small = shrink(gray, self.settings.max_side)
        mask = None
        padded = small
        if self.settings.padding == "release":
            padded, mask = self._padded(small)
        pixels = torch.from_numpy(padded.astype(np.float32) / 255)[None, None]
        features = self.network.encode(pixels.to(self.policy.device, self.policy.dtype), mask)
        check_finite(features.coarse, "features")
        factors = width / small.shape[1], height / small.shape[0]
        return Features(features, width, height, factors, blank=bool(gray.min() == gray.max()))

    def _padded(self, image: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
        """Pad an image (H, W) with black to a square; also return its mask (1, h, w) bool in coarse cells."""
        height, width = image.shape
        side = max(height, width)
        padded = np.zeros((side, side), np.uint8)
        padded[:height, :width] = image
        stride = self.network.config.backbone.coarse_stride
        rows, columns, cells = (-(-length // stride) for length in (height, width, side))
        mask = torch.zeros(1, cells, cells, dtype=torch.bool, device=self.policy.device)
        mask[:, :rows, :columns] = True
        return padded, mask

    @torch.inference_mode()
    def match(self, features0: Features, features1: Features, known: np.ndarray | None = None) -> Matches:
        """Match two images. Matches that the network places outside of image 1 are dropped.

        known: (K, 2), pixels of the original image 0, see `ImageMatcher.match`.
        """
        selection = self.settings.select(self.network.config.selection)
        places = None
        if known is not None and len(known):
            places = (torch.from_numpy(to_shrunk(known, features0.factors)).to(self.policy.device),)
        (found,) = self.network.match(features0.network, features1.network, selection, places)
        points0 = to_original(found.points0.cpu().numpy(), features0.factors)
        points1 = to_original(found.points1.cpu().numpy(), features1.factors)
        size1 = features1.width, features1.height
        inside = np.all((points1 >= -0.5) & (points1 <= np.array(size1) - 0.5), axis=1)
        keep = inside & (not (features0.blank or features1.blank))
        return Matches(
            points0=points0[keep],
            points1=points1[keep],
            confidence=found.confidence.cpu().numpy()[keep],
            spread=found.spread.cpu().numpy()[keep] * np.float32(sum(features1.factors) / 2),
            cells0=found.cells0.cpu().numpy()[keep],
            cells1=found.cells1.cpu().numpy()[keep],
            size0=(features0.width, features0.height),
            size1=size1,
        )
