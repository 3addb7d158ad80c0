"""Detection in one image: a pass over the whole image, a pass over crops of crowded regions, and their fusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from perception_common.backends.cuda_graphs import GraphRuntime
from perception_common.backends.devices import DevicePolicy
from perception_common.backends.engine_cache import open_runtime
from perception_common.backends.finite import require_finite
from perception_common.backends.onnx_export import Identity
from perception_common.backends.streams import DeviceStream, inference, staging, upload
from perception_common.config import load_yaml, to_mapping
from perception_common.errors import InputError
from perception_common.images.palettes import to_thermal_gray
from perception_common.resources import find_config
from perception_common.weights import WeightsReport, check_prepared, load_chosen_weights
from yolc_ros.boxes import ScoredBoxes, concatenate, suppress_duplicates
from yolc_ros.calibration import calibrate, raw_threshold
from yolc_ros.clusters import (
    LsmConfig,
    Region,
    count_cells,
    find_clusters,
    presence_threshold,
    to_regions,
)
from yolc_ros.decoding import Peaks, cells_of, decode_boxes, move_to_peaks, read_heatmap
from yolc_ros.fusion import fuse, fuse_as_release
from yolc_ros.looks.bands import Band, whole
from yolc_ros.looks.crowds import HEAT_PRESETS, LSM_PRESETS, CrowdConfig, find_crowds
from yolc_ros.looks.detail import useful_zoom
from yolc_ros.network.config import ScoreCalibration, YolcConfig
from yolc_ros.network.fuse import prepare_for_inference, set_precision
from yolc_ros.network.parts import yolc_parts
from yolc_ros.network.yolc import Yolc, YolcMaps, initialise
from yolc_ros.preprocessing import Placement, limiting_scale, place, render

LsmMerge = Literal["ours", "release"]
Scores = Literal["calibrated", "raw"]
FIRST_LOOK_SCORE = 0.1  # lowest raw score of a box of a first look, by which scales and regions are chosen (empirical)
SMALLEST_BOX = 1e-3  # image pixels; a narrower box lies outside the image and was clipped to nothing


@dataclass(frozen=True)
class DetectorSettings:
    """Settings that may change from image to image.

    max_side: maximum length of the longer side of the network's input, pixels; 0: the image's own size.
    score_threshold: minimum score of a detection. scores: "calibrated": probabilities that a box is an object, where
    the weights have a calibration; "raw": as the network gives them. Where to look again is decided by raw scores, the
    scale of `scale: auto` by calibrated ones. nms_iou: IoU of two boxes of a class above which the one with the
    lower score is dropped; None: none is dropped, as in the authors' evaluation. max_detections: per image. max_peaks:
    heatmap peaks that become boxes, per network pass.
    lsm: the crop pass over crowded regions (see `LSM_PRESETS`); None: the first pass alone. A `CrowdConfig` needs a
    network whose object sizes are known; with others the preset "heat" takes its place. merge: how its boxes and
    those of the first pass are fused, by our rules (`fuse`) or as in the authors' code (`fuse_as_release`).
    flip: also detect in the mirrored image (test-time augmentation). scales: of the first pass, relative to the size
    that max_side gives; regions are found at the first of them.
    """

    max_side: int = 0
    score_threshold: float = 0.3
    scores: Scores = "calibrated"
    nms_iou: float | None = 0.6
    max_detections: int = 500
    max_peaks: int = 1000
    lsm: LsmConfig | CrowdConfig | None = field(default_factory=lambda: LSM_PRESETS["ours"])
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
    bands: tuple[Band, ...] = ()  # of the first look, with their scales

    @property
    def scored(self) -> ScoredBoxes:
        """The boxes with their scores and labels."""
        return ScoredBoxes(self.boxes, self.scores, self.labels)


@dataclass(frozen=True)
class FirstLook:
    """The first look at an image: boxes (image pixels, also of lower scores than published), the bands in which it was
    looked at, and the crowded regions found, the most important first.
    """

    found: ScoredBoxes
    bands: tuple[Band, ...]
    regions: tuple[Region, ...]


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

    @property
    def calibration(self) -> ScoreCalibration | None:
        """The calibration that was fitted for these weights; None: there is none."""
        known = self.network.config.calibration
        return known if known is not None and known.weights_sha256 == self.weights_sha256 != "" else None

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
        """Make a detector from a copy of a network, such as one in training; `network` itself is not changed.

        Raises InputError as `check_prepared`.
        """
        prepared = set_precision(prepare_for_inference(network).to(policy.device), policy.dtype)
        check_prepared(prepared, policy.dtype)
        if policy.providers:
            identity = Identity(name, weights.sha256 if weights else "", to_mapping(network.config))
            prepared.runtime = open_runtime(yolc_parts(prepared), network, identity, policy)
        elif policy.cuda_graphs:
            prepared.runtime = GraphRuntime(yolc_parts(prepared))
        return cls(name, prepared, policy, settings, weights)

    @property
    def stream(self) -> DeviceStream:
        """Where the work on the device is queued."""
        return self.policy.stream

    @property
    def lsm(self) -> LsmConfig | CrowdConfig | None:
        """The LSM in use; "heat" in place of one by sizes where the network's object sizes are unknown."""
        lsm = self.settings.lsm
        if isinstance(lsm, CrowdConfig) and self.network.config.object_sizes is None:
            return replace(HEAT_PRESETS["heat"], regions=lsm.regions)
        return lsm

    def with_probabilities(self, found: ScoredBoxes) -> ScoredBoxes:
        """Return boxes of a look with probabilities as scores; raw scores where the weights have no calibration."""
        calibration = self.calibration
        return found if calibration is None else replace(found, scores=calibrate(found.scores, calibration))

    @property
    def published_calibration(self) -> ScoreCalibration | None:
        """The calibration of the scores in `Detections`; None: they are the network's."""
        return self.calibration if self.settings.scores == "calibrated" else None

    @property
    def _raw_threshold(self) -> float:
        """The network's score from which a detection is published."""
        threshold, calibration = self.settings.score_threshold, self.published_calibration
        return threshold if calibration is None else raw_threshold(threshold, calibration)

    def detect(self, image: np.ndarray, bands: Sequence[Band] = ()) -> Detections:
        """Detect objects in an RGB image (H, W, 3) uint8 of any size.

        bands: of the first look, with their scales; empty: the whole image, reduced to max_side.
        Raises InputError for other arrays, and when the network's outputs are not finite.
        """
        first = self.look(image, bands)
        return self.complete(image, first, first.regions)

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """Return an RGB image (H, W, 3) uint8 as the network expects it; once prepared it stays the same.

        A network for thermal images gets false colours as gray. Raises InputError for other arrays.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise InputError(
                f"expected an RGB image (H, W, 3) uint8, got {image.shape} {image.dtype}; convert it with to_rgb"
            )
        return to_thermal_gray(image) if self.network.config.spectrum == "thermal" else image

    @inference
    def look(self, image: np.ndarray, bands: Sequence[Band] = ()) -> FirstLook:
        """Look at the whole image, as in `detect`; return its objects and the crowded regions for a second look."""
        image = self.prepare(image)
        height, width = image.shape[:2]
        lsm, sizes = self.lsm, self.network.config.object_sizes
        if len(bands) > 1 or any((band.y0, band.y1) != (0, height) for band in bands):
            found, views = self._look_at_bands(image, bands), []
        else:
            base = bands[0].scale if bands else limiting_scale(width, height, self.settings.max_side)
            bands = whole(height, base * self.settings.scales[0])
            views = self._look_at_whole(image, base)
            found = self._merge([view.found for view in views])
        regions: tuple[Region, ...] = ()
        if isinstance(lsm, CrowdConfig) and sizes is not None:
            crowds = partial(find_crowds, found, bands, (width, height), sizes, lsm, self.settings.max_side)
            if regions := crowds():  # the spectrum takes some milliseconds, which images without crowds need not spend
                regions = crowds(useful_zoom=useful_zoom(image))
        elif isinstance(lsm, LsmConfig) and views:
            regions = self._regions_of_heat(views[0], lsm)
        return FirstLook(found, tuple(bands), regions)

    @inference
    def complete(self, image: np.ndarray, first: FirstLook, regions: Sequence[Region]) -> Detections:
        """Look at regions of the first look again, and fuse the boxes of both looks."""
        image = self.prepare(image)
        height, width = image.shape[:2]
        of_image = first.found.select(first.found.scores >= self._raw_threshold)
        of_crops = self._crop_pass(image, regions)
        nms_iou = self.settings.nms_iou
        if self.settings.merge == "release":
            fused = fuse_as_release(of_image, of_crops, regions, nms_iou)
        else:
            fused = fuse(of_image, of_crops, regions, (width, height), nms_iou)
        scores, calibration = fused.found.scores[: self.settings.max_detections], self.published_calibration
        return Detections(
            boxes=fused.found.boxes[: self.settings.max_detections],
            scores=scores if calibration is None else calibrate(scores, calibration),
            labels=fused.found.labels[: self.settings.max_detections],
            region=fused.region[: self.settings.max_detections],
            regions=tuple(regions),
            class_names=self.class_names,
            bands=first.bands,
        )

    def _look_at_whole(self, image: np.ndarray, base: float) -> list[_View]:
        """Look at the whole image at the scale `base` times each of `settings.scales`; heat is counted at the first."""
        height, width = image.shape[:2]
        lsm = self.lsm
        views: list[_View] = []
        for scale in self.settings.scales:
            placement = place(width, height, self.network.config.padding, base * scale)
            heat = lsm if isinstance(lsm, LsmConfig) and not views else None
            views += self._detect_views([image], [placement], heat, self._lowest_score)
        return views

    def _look_at_bands(self, image: np.ndarray, bands: Sequence[Band]) -> ScoredBoxes:
        """Look at each band; a box that a band cuts is taken from its neighbour, which overlaps it."""
        height, width = image.shape[:2]
        found = []
        for band in bands:
            rows = image[band.y0 : band.y1]
            placement = place(width, len(rows), self.network.config.padding, band.scale)
            view = self._detect_views([rows], [placement], None, self._lowest_score)[0]
            found.append(view.found.shifted(0, band.y0))
        areas = [Region(0, band.y0, width, band.y1, 0.0, band.scale) for band in bands]
        return fuse(concatenate([]), found, areas, (width, height), self.settings.nms_iou).found

    def _regions_of_heat(self, first: _View, lsm: LsmConfig) -> tuple[Region, ...]:
        """Return the regions of the published LSM for the first view."""
        clusters = find_clusters(first.counts, *first.placement.input_size, lsm)
        published = first.found.boxes[first.found.scores >= self._raw_threshold]
        centres = (published[:, :2] + published[:, 2:]) / 2
        return to_regions(clusters, first.placement, centres, lsm.zoom, self.settings.max_side)

    @property
    def _lowest_score(self) -> float:
        """Lowest score of a box of the first look: small objects, which call for a larger scale, have low scores."""
        known = self.network.config.object_sizes is not None
        return min(FIRST_LOOK_SCORE, self._raw_threshold) if known else self._raw_threshold

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
            views = self._detect_views(crops, [placements[i] for i in indices], None, self._raw_threshold)
            for i, view in zip(indices, views, strict=True):
                found[i] = view.found.shifted(regions[i].x0, regions[i].y0)
        return [found[index] for index in range(len(regions))]

    def _detect_views(
        self, images: Sequence[np.ndarray], placements: Sequence[Placement], lsm: LsmConfig | None, lowest: float
    ) -> list[_View]:
        """Detect in images whose inputs have one size, as one batch; with `flip` in their mirror images too.

        lowest: score from which a peak becomes a box.
        """
        shown = [*images, *(image[:, ::-1] for image in images)] if self.settings.flip else list(images)
        width, height = placements[0].input_size
        batch = staging((len(shown), height, width, 3), torch.uint8, self.policy.device)  # channels last in memory
        for i, (image, canvas) in enumerate(zip(shown, batch.numpy(), strict=True)):
            render(image, placements[i % len(images)], canvas)
        maps = self.network.maps(upload(batch, self.policy.device).permute(0, 3, 1, 2))
        views = [self._decode(maps, i, placements[i % len(images)], lsm, lowest) for i in range(len(shown))]
        if not self.settings.flip:
            return views
        return [
            _View(self._merge([a.found, b.found.mirrored(b.placement.image_size[0])]), a.counts, a.placement)
            for a, b in zip(views[: len(images)], views[len(images) :], strict=True)
        ]

    def _decode(self, maps: YolcMaps, index: int, placement: Placement, lsm: LsmConfig | None, lowest: float) -> _View:
        """Decode one image of a batch into boxes in its own pixels and, for the LSM, counts of occupied pixels."""
        heatmap = maps.heatmap[index]
        presence = 1.0 if lsm is None else presence_threshold(heatmap, lsm)
        reading = read_heatmap(heatmap, lowest, self.settings.max_peaks, presence)
        peaks = reading.peaks
        boxes = boxes_of(self.network, maps.box_features[index], peaks)
        cells = boxes.new_zeros(0, 0) if lsm is None else count_cells(reading.present, lsm)
        rows = torch.cat([boxes, peaks.scores[:, None], peaks.labels[:, None].float()], dim=1)
        together = torch.cat([rows.flatten(), cells.flatten(), reading.is_finite.float()[None]])
        copied = together.cpu().numpy()  # one copy, which also waits once
        table, counts = copied[: rows.numel()].reshape(rows.shape), copied[rows.numel() : -1].reshape(cells.shape)
        require_finite(bool(copied[-1]), "scores")
        require_finite(bool(np.isfinite(table).all()), "boxes")
        found = ScoredBoxes(
            placement.to_image(table[:, :4]).clip(0, np.array(placement.image_size * 2, dtype=np.float32)),
            table[:, 4],
            table[:, 5].astype(np.int64),
        )
        found = found.select((found.boxes[:, 2:] - found.boxes[:, :2]).min(axis=1, initial=np.inf) > SMALLEST_BOX)
        return _View(self._merge([found]), counts, placement)

    def _merge(self, parts: Sequence[ScoredBoxes]) -> ScoredBoxes:
        """Concatenate boxes and suppress duplicates."""
        together = concatenate(parts)
        return together.select(suppress_duplicates(together, self.settings.nms_iou))


@dataclass(frozen=True)
class _View:
    """Result of one network pass for one view: an image or a crop at one scale."""

    found: ScoredBoxes  # pixels of the image or crop
    counts: np.ndarray  # (rows, columns) float32, occupied heatmap pixels of each cell; (0, 0) without LSM
    placement: Placement


def boxes_of(network: Yolc, box_features: Tensor, peaks: Peaks) -> Tensor:
    """Boxes (N, 4) xyxy, input pixels, of N peaks, from one image's box features (box_width, h, w)."""
    stride = network.config.heatmap_stride
    cells = cells_of(peaks, stride)
    boxes = decode_boxes(network.boxes_at(box_features, cells), cells)
    return move_to_peaks(boxes, peaks, stride, network.config.peak_share)
