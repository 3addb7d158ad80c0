"""The whole detection of one image: look, find crowded regions, look again, join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from perception_common.backends.devices import DevicePolicy
from perception_common.config import load_yaml
from perception_common.errors import InputError
from perception_common.resources import find_config
from perception_common.weights import WeightsReport, load_chosen_weights
from yolc_ros.clusters import (
    LSM_PRESETS,
    LsmConfig,
    Region,
    count_cells,
    find_clusters,
    presence_threshold,
    to_regions,
)
from yolc_ros.decoding import (
    Peaks,
    ScoredBoxes,
    cells_of,
    concatenate,
    decode_boxes,
    move_to_peaks,
    read_heatmap,
    suppress_doubles,
)
from yolc_ros.fusion import fuse
from yolc_ros.network.config import YolcConfig
from yolc_ros.network.fuse import prepare_for_inference
from yolc_ros.network.yolc import Yolc, YolcMaps, initialise
from yolc_ros.preprocessing import Placement, limiting_scale, place, render

SMALLEST_BOX = 1e-3  # image pixels; what is narrower has no extent left inside the image


@dataclass(frozen=True)
class DetectorSettings:
    """What may change between two images.

    max_side: limit of the longer side of the network's input, pixels; 0 keeps the image's size.
    score_threshold: smallest score of a detection. nms_iou: overlap above which the worse of two boxes of a class is a
    double. max_detections: for an image. max_peaks: heatmap maxima that become boxes, for each look.
    lsm: the second look at crowded regions (see `LSM_PRESETS`); None: the first look alone.
    flip: look also at the mirrored image. scales: of the first look, relative to what max_side gives; the
    first one finds the regions.
    """

    max_side: int = 0
    score_threshold: float = 0.3
    nms_iou: float = 0.6
    max_detections: int = 500
    max_peaks: int = 1000
    lsm: LsmConfig | None = field(default_factory=lambda: LSM_PRESETS["ours"])
    flip: bool = False
    scales: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if self.max_side and self.max_side < 32:
            raise ValueError(f"max_side must be 0 or at least 32 pixels, not {self.max_side}")
        if not 0 < self.score_threshold <= 1 or not 0 <= self.nms_iou <= 1:
            raise ValueError("score_threshold must lie in (0, 1] and nms_iou in [0, 1]")
        if self.max_detections < 1 or self.max_peaks < 1:
            raise ValueError("max_detections and max_peaks must be at least 1")
        if not self.scales or min(self.scales) <= 0:
            raise ValueError(f"scales must be positive and at least one, not {self.scales}")


@dataclass(frozen=True)
class Detections:
    """Detected objects of one image, best first. Everything is there, with length 0, when nothing was found.

    Coordinates are pixels of the original image (the top-left pixel covers 0 to 1), clipped into it.
    """

    boxes: np.ndarray  # (N, 4) float32 xyxy
    scores: np.ndarray  # (N,) float32, 0 to 1
    labels: np.ndarray  # (N,) int64, index into class_names
    region: np.ndarray  # (N,) int64, index into regions of the look that found it; -1: the whole image
    regions: tuple[Region, ...]
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Detector:
    """A network with the settings to use it. `detect` is a pure function of the image.

    weights: what was loaded; None: the weights are random and the boxes mean nothing (`trained` is False).
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
        """Build the network of config/models/NAME.yaml, as "yolc_lite", and load weights into it.

        weights: a file; "default": the ones that are shipped for this model, if any; "none" or None: none. Without
        weights they are random, the same at each call, and `trained` is False. sha256: expected digest of the file.
        Raises InputError for an unknown model and for files that are missing or do not fit.
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
        """Use a copy of a network that is at hand, as in training; `network` is left as it is."""
        prepared = prepare_for_inference(network).to(policy.device, policy.dtype)
        return cls(name, prepared, policy, settings, weights)

    @torch.inference_mode()
    def detect(self, image: np.ndarray) -> Detections:
        """Detect objects in an RGB image (H, W, 3) uint8 of any size. InputError for anything else."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise InputError(
                f"expected an RGB image (H, W, 3) uint8, got {image.shape} {image.dtype}; convert it with to_rgb"
            )
        height, width = image.shape[:2]
        coarse, regions = self._look_at_image(image)
        refined = self._look_at_regions(image, regions)
        fused = fuse(coarse, refined, regions, (width, height), self.settings.nms_iou)
        return Detections(
            boxes=fused.found.boxes[: self.settings.max_detections],
            scores=fused.found.scores[: self.settings.max_detections],
            labels=fused.found.labels[: self.settings.max_detections],
            region=fused.regions[: self.settings.max_detections],
            regions=regions,
            class_names=self.class_names,
        )

    def _look_at_image(self, image: np.ndarray) -> tuple[ScoredBoxes, tuple[Region, ...]]:
        """First look: boxes of the whole image, and the regions that deserve a second."""
        settings = self.settings
        height, width = image.shape[:2]
        base = limiting_scale(width, height, settings.max_side)
        looks: list[_Look] = []
        for scale in settings.scales:
            placement = place(width, height, self.network.config.padding, base * scale)
            looks += self._look([image], [placement], settings.lsm if not looks else None)
        first = looks[0]
        regions: tuple[Region, ...] = ()
        if settings.lsm is not None:
            clusters = find_clusters(first.counts, *first.placement.input_size, settings.lsm)
            centres = (first.found.boxes[:, :2] + first.found.boxes[:, 2:]) / 2
            regions = to_regions(clusters, first.placement, centres, settings.lsm.zoom, settings.max_side)
        return self._merge([look.found for look in looks]), regions

    def _look_at_regions(self, image: np.ndarray, regions: Sequence[Region]) -> list[ScoredBoxes]:
        """Second look: boxes of each region, in pixels of the whole image. Inputs of one size go as one batch."""
        padding = self.network.config.padding
        placements = [place(r.x1 - r.x0, r.y1 - r.y0, padding, r.scale) for r in regions]
        by_size: dict[tuple[int, int], list[int]] = {}
        for index, placement in enumerate(placements):
            by_size.setdefault(placement.input_size, []).append(index)
        found: dict[int, ScoredBoxes] = {}
        for indices in by_size.values():
            crops = [image[regions[i].y0 : regions[i].y1, regions[i].x0 : regions[i].x1] for i in indices]
            looks = self._look(crops, [placements[i] for i in indices], None)
            found.update((i, _shift(look.found, regions[i])) for i, look in zip(indices, looks, strict=True))
        return [found[index] for index in range(len(regions))]

    def _look(
        self, images: Sequence[np.ndarray], placements: Sequence[Placement], lsm: LsmConfig | None
    ) -> list[_Look]:
        """Look at images whose inputs have one size, as one batch; with `flip` at their mirror images too."""
        views = list(images)
        if self.settings.flip:
            views += [image[:, ::-1] for image in images]
        inputs = np.stack([render(view, placements[i % len(images)]) for i, view in enumerate(views)])
        tensor = torch.from_numpy(inputs).permute(0, 3, 1, 2).to(self.policy.device)  # channels last in memory
        maps = self.network.maps(tensor)
        looks = [self._read(maps, i, placements[i % len(images)], lsm) for i in range(len(views))]
        if not self.settings.flip:
            return looks
        straight, mirrored = looks[: len(images)], looks[len(images) :]
        return [
            _Look(self._merge([a.found, _mirror(b.found, b.placement.image_size[0])]), a.counts, a.placement)
            for a, b in zip(straight, mirrored, strict=True)
        ]

    def _read(self, maps: YolcMaps, index: int, placement: Placement, lsm: LsmConfig | None) -> _Look:
        """Decode one image of a batch into boxes in its own pixels and, for the LSM, counts of present pixels."""
        settings = self.settings
        heatmap = maps.heatmap[index]
        presence = 1.0 if lsm is None else presence_threshold(heatmap, lsm)
        reading = read_heatmap(heatmap, settings.score_threshold, settings.max_peaks, presence)
        boxes = boxes_of(self.network, maps.box_features[index], reading.peaks)
        found = ScoredBoxes(
            _clip(placement.to_image(boxes.cpu().numpy()), placement.image_size),
            reading.peaks.scores.cpu().numpy(),
            reading.peaks.labels.cpu().numpy(),
        )
        found = found.select((found.boxes[:, 2:] - found.boxes[:, :2]).min(axis=1, initial=np.inf) > SMALLEST_BOX)
        counts = np.zeros((0, 0), np.int64) if lsm is None else count_cells(reading.present, lsm)
        return _Look(self._merge([found]), counts, placement)

    def _merge(self, looks: Sequence[ScoredBoxes]) -> ScoredBoxes:
        together = concatenate(looks)
        return together.select(suppress_doubles(together, self.settings.nms_iou))


def boxes_of(network: Yolc, box_features: Tensor, peaks: Peaks) -> Tensor:
    """Boxes of the peaks in one image's box features -> (N, 4) xyxy, input pixels, in the order of the peaks."""
    stride = network.config.heatmap_stride
    cells = cells_of(peaks, stride)
    boxes = decode_boxes(network.boxes_at(box_features, cells), cells)
    return move_to_peaks(boxes, peaks, stride, network.config.peak_share)


@dataclass(frozen=True)
class _Look:
    """What one pass of the network saw in one image."""

    found: ScoredBoxes  # in pixels of that image
    counts: np.ndarray  # (rows, columns) int64, present heatmap pixels of each cell; (0, 0) without LSM
    placement: Placement


def _clip(boxes: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Boxes (N, 4) xyxy, cut at the image's borders."""
    return boxes.clip(0, np.array([*image_size, *image_size], dtype=np.float32))


def _shift(found: ScoredBoxes, region: Region) -> ScoredBoxes:
    """From pixels of a crop to those of the image."""
    corner = np.array([region.x0, region.y0] * 2, dtype=np.float32)
    return ScoredBoxes(found.boxes + corner, found.scores, found.labels)


def _mirror(found: ScoredBoxes, width: int) -> ScoredBoxes:
    """Undo left-right mirroring in an image `width` pixels wide."""
    x0, y0, x1, y1 = found.boxes.T
    return ScoredBoxes(np.stack([width - x1, y0, width - x0, y1], axis=1), found.scores, found.labels)
