"""LoFTR as a matcher: shrinks images, runs the network and maps the matches back to pixels of the original images.

Images are neither padded nor cut, unless the settings ask for the authors' padding: the network takes any size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from loftr_ros.image_matcher import DEFAULT_SETTINGS, MatcherSettings, check_gray, shrink, to_original, to_shrunk
from loftr_ros.loops.descriptor import describe
from loftr_ros.matches import Matches
from loftr_ros.network.config import LoFTRConfig
from loftr_ros.network.loftr import LoFTR, prepare_for_inference, set_precision
from loftr_ros.network.parts import loftr_parts
from loftr_ros.network.results import ImageFeatures, PairMatches
from loftr_ros.turning.quarter_turns import turn_cells_back, turn_image, turn_points, turn_points_back
from perception_common.backends.cuda_graphs import GraphRuntime
from perception_common.backends.devices import DevicePolicy
from perception_common.backends.engine_cache import open_runtime
from perception_common.backends.finite import all_finite, require_finite
from perception_common.backends.onnx_export import Identity
from perception_common.backends.streams import DeviceStream, inference, upload_array
from perception_common.config import load_yaml, to_mapping
from perception_common.resources import find_config
from perception_common.weights import WeightsReport, check_prepared, load_chosen_weights

SEED = 0  # of random weights


@dataclass(frozen=True, eq=False)
class Features:
    """Feature maps of one image; keep them to match the image again.

    width, height: of the original image, pixels. small: (width, height) of the shrunk image before it was turned.
    blank: all pixels are equal, so that there is nothing to match. descriptor: (D,), of the whole image. turns: quarter
    turns (see turning/quarter_turns.py) by which the shrunk image was turned for the network.
    """

    network: ImageFeatures
    width: int
    height: int
    small: tuple[int, int]
    blank: bool
    descriptor: np.ndarray
    turns: int = 0

    @property
    def factors(self) -> tuple[float, float]:
        """Original size over shrunk size, (x, y), before the turn."""
        return self.width / self.small[0], self.height / self.small[1]

    @property
    def nbytes(self) -> int:
        """Memory that keeping this costs."""
        return self.network.nbytes


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
        """Use a copy of a network, as in training; `network` is not changed. Raises InputError as `check_prepared`."""
        prepared = set_precision(prepare_for_inference(network).to(policy.device), policy.dtype)
        check_prepared(prepared, policy.dtype)
        if policy.providers:
            identity = Identity(name, weights.sha256 if weights else "", to_mapping(network.config))
            prepared.runtime = open_runtime(loftr_parts(prepared), network, identity, policy)
        elif policy.cuda_graphs:
            prepared.runtime = GraphRuntime(loftr_parts(prepared))
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
        return self.policy.name

    @property
    def repeats_keypoints(self) -> bool:
        """False: LoFTR has no repeatable keypoints."""
        return False

    @property
    def turning_helps(self) -> bool:
        """True: LoFTR matches images best that are upright to each other."""
        return True

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.policy.device

    @property
    def stream(self) -> DeviceStream:
        """Where the work on the device is queued."""
        return self.policy.stream

    def with_settings(self, settings: MatcherSettings) -> Matcher:
        """Return this matcher with other settings; features that were kept stay valid."""
        return replace(self, settings=settings)

    @inference
    def encode(self, gray: np.ndarray, turns: int = 0, *, rough: bool = False) -> Features:
        """Compute the features of a gray image (H, W) uint8 of any size, turned by quarter turns.

        rough: keep the coarse map alone, which serves for rough matches. Raises InputError for anything else, and when
        the features are not finite.
        """
        check_gray(gray)
        height, width = gray.shape
        small = shrink(gray, self.settings.max_side)
        mask = None
        turned = padded = turn_image(small, turns)
        if self.settings.padding == "release":
            padded, mask = self._padded(turned)
        pixels = upload_array(padded, self.policy.device)  # uint8: a quarter of what float32 would need
        features = self.network.encode(pixels[None, None].float() / 255, mask)
        assert features.covariance is not None  # the network is not in training
        channels = features.covariance.shape[-1]
        together = torch.cat([features.covariance.flatten(), all_finite(features.coarse).float()[None]])
        copied = together.cpu().numpy()  # one copy, which also waits once
        require_finite(bool(copied[-1]), "features")
        kept = replace(features, covariance=None)
        if rough:
            kept = replace(kept, fine=features.fine.new_zeros(0), gray=None)
        return Features(
            kept,
            width,
            height,
            small=small.shape[::-1],
            blank=bool(gray.min() == gray.max()),
            descriptor=describe(copied[:-1].reshape(channels, channels)),
            turns=turns % 4,
        )

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

    @inference
    def match(
        self, features0: Features, features1: Features, known: np.ndarray | None = None, *, rough: bool = False
    ) -> Matches:
        """Match two images. Matches that the network places outside of image 1 are dropped.

        known: (K, 2), pixels of the original image 0. rough: the coarse stage alone, without known points, refinement
        and spread. See `ImageMatcher.match`.
        """
        selection = self.settings.select(self.network.config.selection)
        places = None
        if known is not None and len(known):
            shrunk = turn_points(to_shrunk(known, features0.factors), features0.turns, features0.small)
            places = (upload_array(shrunk, self.policy.device),)
        (found,) = self.network.match(features0.network, features1.network, selection, places, rough=rough)
        network0, network1, confidence, spread, cells0, cells1 = _download(found)
        points0, points1 = (
            to_original(turn_points_back(points, features.turns, features.small), features.factors)
            for points, features in ((network0, features0), (network1, features1))
        )
        size1 = features1.width, features1.height
        inside = np.all((points1 >= -0.5) & (points1 <= np.array(size1) - 0.5), axis=1)
        keep = inside & (not (features0.blank or features1.blank))
        return Matches(
            points0=points0[keep],
            points1=points1[keep],
            confidence=confidence[keep],
            spread=spread[keep] * np.float32(sum(features1.factors) / 2),
            cells0=self._upright_cells(cells0, features0)[keep],
            cells1=self._upright_cells(cells1, features1)[keep],
            size0=(features0.width, features0.height),
            size1=size1,
        )

    def _upright_cells(self, cells: np.ndarray, features: Features) -> np.ndarray:
        """Return coarse cells (N,) int64 of the network's input as cells of the image before it was turned."""
        stride = self.network.config.backbone.coarse_stride
        columns, rows = (-(-side // stride) for side in features.small)
        columns_turned = features.network.coarse.shape[2]
        is_padded = features.network.mask is not None
        return turn_cells_back(
            cells,
            features.turns,
            (columns, rows),
            columns_turned,
            columns_turned if is_padded else columns,
        )


def _download(found: PairMatches) -> tuple[np.ndarray, ...]:
    """Return the fields of matches as arrays, by one copy from the device; float32 holds numbers of cells exactly."""
    columns = [found.points0, found.points1, *(x[:, None].float() for x in (found.confidence, found.spread))]
    columns += [cells[:, None].float() for cells in (found.cells0, found.cells1)]
    values = torch.cat(columns, dim=1).cpu().numpy()
    points0, points1, others = values[:, :2], values[:, 2:4], values[:, 4:].T
    return points0, points1, others[0], others[1], others[2].astype(np.int64), others[3].astype(np.int64)
