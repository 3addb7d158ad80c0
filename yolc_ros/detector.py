"""Detection in one image: a pass over the whole image, a pass over crops of crowded regions, and their fusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from perception_common.backends.devices import DevicePolicy
from perception_common.backends.finite import check_finite
from perception_common.config import load_yaml
from perception_common.errors import InputError
from perception_common.resources import find_config
from perception_common.weights import WeightsReport, load_chosen_weights
from yolc_ros.boxes import ScoredBoxes, concatenate, suppress_duplicates
from yolc_ros.clusters import (
    LSM_PRESETS,
    LsmConfig,
    Region,
    count_cells,
    find_clusters,
    presence_threshold,
    to_regions,
)
from yolc_ros.decoding import Peaks, cells_of, decode_boxes, move_to_peaks, read_heatmap
from yolc_ros.fusion import fuse, fuse_as_release
from yolc_ros.network.config import YolcConfig
from yolc_ros.network.fuse import prepare_for_inference
from yolc_ros.network.yolc import Yolc, YolcMaps, initialise
from yolc_ros.preprocessing import Placement, limiting_scale, place, render

LsmMerge = Literal["ours", "release"]
SMALLEST_BOX = 1e-3  # image pixels; a narrower box lies outside the image and was clipped to nothing


@dataclass(frozen=True)
class DetectorSettings:
    """Settings that may change from image to image.

    max_side: maximum length of the longer side of the network's input, pixels; 0: the image's own size.
    score_threshold: minimum score of a detection. nms_iou: IoU of two boxes of a class above which the one with the
    lower score is dropped; None: none is dropped, as in the authors' evaluation. max_detections: per image. max_peaks:
    heatmap peaks that become boxes, per network pass.
    lsm: the crop pass over crowded regions (see `LSM_PRESETS`); None: the first pass alone. merge: how its boxes and
    those of the first pass are fused, by our rules (`fuse`) or as in the authors' code (`fuse_as_release`).
    flip: also detect in the mirrored image (test-time augmentation). scales: of the first pass, relative to the size
    that max_side gives; regions are found at the first of them.
    """

    max_side: int = 0
    score_threshold: float = 0.3
    nms_iou: float | None = 0.6
    max_detections: int = 500
    max_peaks: int = 1000
    lsm: LsmConfig | None = field(default_factory=lambda: LSM_PRESETS["ours"])
    merge: LsmMerge = "ours"
    flip: bool = False
    scales: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if self.max_side and self.max_side < 32:
            raise ValueError(f"max_side must be 0 or at least 32 pixels, not {self.max_side}")
        if not 0 < self.score_threshold <= 1 or not 0 <= (self.nms_iou or 0) <= 1:
            raise ValueError("score_threshold must lie in (0, 1] and nms_iou in [0, 1]")
        if self.max_detections < 1 or self.max_peaks < 1:
            raise ValueError("max_detections and max_peaks must be at least 1")
        if not self.scales or min(self.scales) <= 0:
            raise ValueError(f"scales must be positive and at least one, not {self.scales}")


@dataclass(frozen=True)
class Detections:
    """Detected objects of one image, best score first. All fields are present, with length 0, if nothing was found.

    Coordinates are pixels of the original image (the top-left pixel covers 0 to 1), clipped to the image.
    """

    boxes: np.ndarray  # (N, 4) float32 xyxy
    scores: np.ndarray  # (N,) float32, 0 to 1
    labels: np.ndarray  # (N,) int64, index into class_names
    region: np.ndarray  # (N,) int64, index into regions of the crop that gave the box; -1: the whole image
    regions: tuple[Region, ...]
    class_names: tuple[str, ...]


class ObjectDetector(Protocol):
    """Detects objects in images: `Detector`, or cached results of one."""

    @property
    def name(self) -> str:
        """Network variant, such as "yolc_lite"."""

    @property
    def trained(self) -> bool:
        """Whether the weights come from a file; boxes of random weights are meaningless."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each label."""

    def detect(self, image: np.ndarray) -> Detections:
        """Detect objects in an RGB image (H, W, 3) uint8 of any size. Raises InputError for other arrays."""


@dataclass(frozen=True)
class Detector:
    """A network and its settings. `detect` is a pure function of the image.

    weights: report of the loaded file; None: the weights are random and the boxes meaningless (`trained` is False).
    """

    name: str
    network: Yolc
    policy: DevicePolicy
    settings: DetectorSettings
    weights: WeightsReport | None

    @property
    def trained(self) -> bool:
        """Whether the network's weights come from a file."""
        return self.weights is not None

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights file in hex; empty for random weights."""
        return self.weights.sha256 if self.weights else ""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each label."""
        return self.network.config.class_names

    @classmethod
    def load(
        cls,
        name: str,
        weights: Path | str | None,
        policy: DevicePolicy,
        settings: DetectorSettings = DetectorSettings(),
        *,
        sha256: str | None = None,
    ) -> Detector:
        """Build the network of config/models/NAME.yaml, such as "yolc_lite", and load its weights.

        weights: a file; "default": the weights shipped for this model, if any; "none" or None: random weights, the same
        in every call. sha256: expected digest of the file.
        Raises InputError for an unknown model, and for a weights file that is missing or does not fit.
        """
        network = Yolc(load_yaml(YolcConfig, find_config(f"models/{name}.yaml")))
        initialise(network)
        report = load_chosen_weights(network, name, weights, sha256=sha256)
        return cls.from_network(network, policy, settings, name=name, weights=report)

    @classmethod
    def from_network(
        cls,
        network: Yolc,
        policy: DevicePolicy,
        settings: DetectorSettings = DetectorSettings(),
        *,
        name: str = "yolc",
        weights: WeightsReport | None = None,
    ) -> Detector:
        """Make a detector from a copy of a network, such as one in training; `network` itself is not changed."""
        prepared = prepare_for_inference(network).to(policy.device, policy.dtype)
        return cls(name, prepared, policy, settings, weights)

    @torch.inference_mode()
    def detect(self, image: np.ndarray) -> Detections:
        """Detect objects in an RGB image (H, W, 3) uint8 of any size.

        Raises InputError for other arrays, and when the network's outputs are not finite.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise InputError(
                f"expected an RGB image (H, W, 3) uint8, got {image.shape} {image.dtype}; convert it with to_rgb"
            )
        height, width = image.shape[:2]
        of_image, regions = self._first_pass(image)
        of_crops = self._crop_pass(image, regions)
        nms_iou = self.settings.nms_iou
        if self.settings.merge == "release":
            fused = fuse_as_release(of_image, of_crops, regions, nms_iou)
        else:
            fused = fuse(of_image, of_crops, regions, (width, height), nms_iou)
        return Detections(
            boxes=fused.found.boxes[: self.settings.max_detections],
            scores=fused.found.scores[: self.settings.max_detections],
            labels=fused.found.labels[: self.settings.max_detections],
            region=fused.region[: self.settings.max_detections],
            regions=regions,
            class_names=self.class_names,
        )

    def _first_pass(self, image: np.ndarray) -> tuple[ScoredBoxes, tuple[Region, ...]]:
        """Detect in the whole image; return its boxes and the crowded regions for the crop pass."""
        settings = self.settings
        height, width = image.shape[:2]
        base = limiting_scale(width, height, settings.max_side)
        views: list[_View] = []
        for scale in settings.scales:
            placement = place(width, height, self.network.config.padding, base * scale)
            views += self._detect_views([image], [placement], settings.lsm if not views else None)
        first = views[0]
        regions: tuple[Region, ...] = ()
        if settings.lsm is not None:
            input_width, input_height = first.placement.input_size
            clusters = find_clusters(first.counts, input_width, input_height, settings.lsm)
            centres = (first.found.boxes[:, :2] + first.found.boxes[:, 2:]) / 2
            regions = to_regions(clusters, first.placement, centres, settings.lsm.zoom, settings.max_side)
        return self._merge([view.found for view in views]), regions

    def _crop_pass(self, image: np.ndarray, regions: Sequence[Region]) -> list[ScoredBoxes]:
        """Detect in the crop of each region; boxes in pixels of the whole image. Inputs of one size form one batch."""
        padding = self.network.config.padding
        placements = [place(r.x1 - r.x0, r.y1 - r.y0, padding, r.scale) for r in regions]
        by_size: dict[tuple[int, int], list[int]] = {}
        for index, placement in enumerate(placements):
            by_size.setdefault(placement.input_size, []).append(index)
        found: dict[int, ScoredBoxes] = {}
        for indices in by_size.values():
            crops = [image[regions[i].y0 : regions[i].y1, regions[i].x0 : regions[i].x1] for i in indices]
            views = self._detect_views(crops, [placements[i] for i in indices], None)
            for i, view in zip(indices, views, strict=True):
                found[i] = view.found.shifted(regions[i].x0, regions[i].y0)
        return [found[index] for index in range(len(regions))]

    def _detect_views(
        self, images: Sequence[np.ndarray], placements: Sequence[Placement], lsm: LsmConfig | None
    ) -> list[_View]:
        """Detect in images whose inputs have one size, as one batch; with `flip` in their mirror images too."""
        inputs = [render(image, placement) for image, placement in zip(images, placements, strict=True)]
        if self.settings.flip:
            inputs += [render(image[:, ::-1], placement) for image, placement in zip(images, placements, strict=True)]
        batch = torch.from_numpy(np.stack(inputs)).permute(0, 3, 1, 2)  # channels last in memory
        maps = self.network.maps(batch.to(self.policy.device))
        views = [self._decode(maps, i, placements[i % len(images)], lsm) for i in range(len(inputs))]
        if not self.settings.flip:
            return views
        return [
            _View(self._merge([a.found, b.found.mirrored(b.placement.image_size[0])]), a.counts, a.placement)
            for a, b in zip(views[: len(images)], views[len(images) :], strict=True)
        ]

    def _decode(self, maps: YolcMaps, index: int, placement: Placement, lsm: LsmConfig | None) -> _View:
        """Decode one image of a batch into boxes in its own pixels and, for the LSM, counts of occupied pixels."""
        settings = self.settings
        heatmap = maps.heatmap[index]
        presence = 1.0 if lsm is None else presence_threshold(heatmap, lsm)
        reading = read_heatmap(heatmap, settings.score_threshold, settings.max_peaks, presence)
        boxes = placement.to_image(boxes_of(self.network, maps.box_features[index], reading.peaks).cpu().numpy())
        found = ScoredBoxes(
            boxes.clip(0, np.array(placement.image_size * 2, dtype=np.float32)),
            reading.peaks.scores.cpu().numpy(),
            reading.peaks.labels.cpu().numpy(),
        )
        found = found.select((found.boxes[:, 2:] - found.boxes[:, :2]).min(axis=1, initial=np.inf) > SMALLEST_BOX)
        counts = np.zeros((0, 0), np.int64) if lsm is None else count_cells(reading.present, lsm)
        return _View(self._merge([found]), counts, placement)

    def _merge(self, parts: Sequence[ScoredBoxes]) -> ScoredBoxes:
        """Concatenate boxes and suppress duplicates."""
        together = concatenate(parts)
        return together.select(suppress_duplicates(together, self.settings.nms_iou))


@dataclass(frozen=True)
class _View:
    """Result of one network pass for one view: an image or a crop at one scale."""

    found: ScoredBoxes  # pixels of the image or crop
    counts: np.ndarray  # (rows, columns) int64, occupied heatmap pixels of each cell; (0, 0) without LSM
    placement: Placement


def boxes_of(network: Yolc, box_features: Tensor, peaks: Peaks) -> Tensor:
    """Boxes (N, 4) xyxy, input pixels, of N peaks, from one image's box features (box_width, h, w).

    Raises InputError for boxes that are not finite.
    """
    stride = network.config.heatmap_stride
    cells = cells_of(peaks, stride)
    boxes = decode_boxes(network.boxes_at(box_features, cells), cells)
    check_finite(boxes, "boxes")
    return move_to_peaks(boxes, peaks, stride, network.config.peak_share)
