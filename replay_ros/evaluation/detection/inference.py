"""Inference modes of a network - whole image, with the LSM, in slices - and runs of them over images, with a cache."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from perception_common.config import to_mapping
from perception_common.errors import InputError
from perception_common.images.pictures.files import read_rgb
from perception_common.weights import file_sha256
from replay_ros.evaluation.detection.cache import (
    Prediction,
    Section,
    changed_keys,
    read_predictions,
    write_predictions,
)
from replay_ros.evaluation.detection.protocols import ImageDetections
from replay_ros.evaluation.detection.slicing import SlicingConfig, detect_sliced
from replay_ros.evaluation.detection.truth import ClassChoice, EvaluatedImage
from yolc_ros.adaptive import AdaptiveDetector, LookSettings, ScaleMode
from yolc_ros.calibration import calibrate
from yolc_ros.clusters import LsmConfig
from yolc_ros.detector import Detections, Detector
from yolc_ros.looks.bands import GroundView, whole
from yolc_ros.looks.crowds import LSM_PRESETS, CrowdConfig
from yolc_ros.network.config import ScoreCalibration

LSM: dict[str, LsmConfig | CrowdConfig | None] = {
    "on": LSM_PRESETS["ours"],
    "off": None,
    **{name: LSM_PRESETS[name] for name in ("heat", "paper", "release")},
}
"""Presets of the Local Scale Module by their name on the command line."""


@dataclass(frozen=True)
class InferenceMode:
    """lsm: key of `LSM`. slicing: uniform slices instead of the LSM, at a fixed scale.

    scale: of the first look, as the node's parameter `scale`; a number: so many input pixels per image pixel. Each
    image is a place of its own: with "auto" the scale is searched in each, which counts in its time. regions: largest
    number of regions of the LSM; None: that of the preset.
    """

    lsm: str = "on"
    slicing: SlicingConfig | None = None
    scale: ScaleMode | float = "fixed"
    regions: int | None = None

    @property
    def name(self) -> str:
        """The name in tables, results and cache files."""
        if self.slicing is not None:
            return f"slicing {self.slicing.size}"
        scale = "" if self.scale == "fixed" else f", scale {self.scale}"
        return f"LSM {self.lsm}{'' if self.regions is None else f' k={self.regions}'}{scale}"

    def detect(self, detector: Detector, image: np.ndarray, view: GroundView | None = None) -> Detections:
        """Detect objects in an RGB image (H, W, 3) uint8. view: of the ground; the scale "ground" needs it."""
        detector = self.prepare(detector)
        if self.slicing is not None:
            return detect_sliced(detector, image, self.slicing)
        if self.scale == "fixed":
            return detector.detect(image)
        if isinstance(self.scale, str):
            return AdaptiveDetector(detector, LookSettings(self.scale)).detect(image, view=view)[0]
        return detector.detect(image, whole(image.shape[0], self.scale))

    def prepare(self, detector: Detector) -> Detector:
        """Return the detector with the settings of this mode."""
        lsm = LSM[self.lsm] if self.slicing is None else None
        if lsm is not None and self.regions is not None:
            lsm = replace(lsm, regions=self.regions)
        return replace(detector, settings=replace(detector.settings, lsm=lsm))

    def conditions(self, detector: Detector) -> dict[str, Any]:
        """Return everything except the image on which predictions depend, as plain values."""
        return {
            "model": detector.name,
            "weights_sha256": detector.weights.sha256 if detector.weights else "",
            "class_names": list(detector.class_names),
            "device": detector.policy.name,
            "precision": str(detector.policy.dtype).removeprefix("torch."),
            "settings": to_mapping(self.prepare(detector).settings),
            "slicing": None if self.slicing is None else to_mapping(self.slicing),
            "scale": self.scale,
        }


@dataclass(frozen=True, eq=False)
class PredictionRun:
    """Predictions by image file in one inference mode.

    notes: their origin, where they come from a cache. faults: why an image file could not be read, by its path.
    """

    mode: InferenceMode
    predictions: Mapping[Path, Prediction]
    notes: tuple[str, ...] = ()
    faults: Mapping[Path, str] = field(default_factory=dict)

    @property
    def crops_per_image(self) -> float:
        """Mean number of crops, of the LSM or slices."""
        return float(np.mean([each.crops for each in self.predictions.values()]))

    @property
    def seconds_per_image(self) -> float:
        """Mean time of the inference, without reading the file."""
        return float(np.mean([each.seconds for each in self.predictions.values()]))

    def of_classes(
        self,
        images: Sequence[EvaluatedImage],
        names: Sequence[str],
        choice: ClassChoice,
        calibration: ScoreCalibration | None = None,
    ) -> list[ImageDetections]:
        """Return the detections of the chosen classes in each of these images. names: the network's classes.

        calibration: of the scores, None: they stay as the network gives them.
        """
        index = np.array([choice.of_class.get(name, -1) for name in names], np.int64)
        return [
            ImageDetections(
                each.boxes.astype(np.float64),
                each.scores if calibration is None else calibrate(each.scores, calibration),
                index[each.labels],
            ).select(index[each.labels] >= 0)
            for each in (self.predictions[image.path] for image in images)
        ]


def run_inference(
    detector: Detector, mode: InferenceMode, images: Sequence[EvaluatedImage], cache: Path | None = None
) -> PredictionRun:
    """Predict each image; those that cannot be read are in `faults`. Raises InputError for a broken cache file, not for
    one that cannot be written, which becomes a note.

    cache: a file of predictions. Those with the same weights, settings, device and image file are reused; the others
    are predicted and added, also when the run is interrupted. Predictions of another network are replaced.
    """
    faults: dict[Path, str] = {}
    if cache is None:
        return PredictionRun(mode, dict(_predict(detector, mode, images, faults)), faults=faults)
    sections = read_predictions(cache)
    conditions = mode.conditions(detector)
    notes = []
    known: dict[str, Prediction] = {}
    if section := sections.get(mode.name):
        if changed := changed_keys(section.conditions, conditions):
            notes.append(f"{mode.name}: {cache} was made with other {', '.join(changed)}; all predicted again")
        else:
            known = dict(section.predictions)
    digests = _digests([image.path for image in images], faults)
    missing = {digest: path for path, digest in digests.items() if digest not in known}
    if missing:
        try:
            names = {path: digest for digest, path in missing.items()}
            left = [image for image in images if image.path in names]
            for path, prediction in _predict(detector, mode, left, faults):
                known[names[path]] = prediction
        finally:
            try:
                write_predictions(cache, {**sections, mode.name: Section(conditions, known)})
            except InputError as error:  # hides neither the scores nor the error of a broken image
                logging.getLogger(__name__).warning("%s. The evaluation goes on without it", error)
                notes.append(f"{mode.name}: {error}")
    reused = sum(digest not in missing for digest in digests.values())
    if reused:
        notes.append(f"{mode.name}: {reused} of {len(images)} predictions, with their seconds, come from {cache}")
    faults |= {path: faults[missing[digest]] for path, digest in digests.items() if missing.get(digest) in faults}
    predictions = {path: known[digest] for path, digest in digests.items() if digest in known}
    return PredictionRun(mode, predictions, tuple(notes), faults)


def _digests(paths: Sequence[Path], faults: dict[Path, str]) -> dict[Path, str]:
    """Return the SHA-256 of each file; adds those that cannot be read to `faults`."""
    digests = {}
    for path in paths:
        try:
            digests[path] = file_sha256(path)
        except OSError as error:
            faults[path] = f"{path}: cannot be read ({error.strerror})"
    return digests


def _predict(
    detector: Detector, mode: InferenceMode, images: Sequence[EvaluatedImage], faults: dict[Path, str]
) -> Iterator[tuple[Path, Prediction]]:
    """Predict image files one by one, so that a caller keeps the finished ones; adds unreadable ones to `faults`."""
    mode.detect(detector, np.zeros((256, 256, 3), np.uint8))  # warm up: the first inference is slower
    for image in tqdm(images, unit="image", desc=mode.name, disable=None):
        try:
            pixels = read_rgb(image.path)
        except InputError as error:
            faults[image.path] = str(error)
            continue
        start = time.perf_counter()
        found = mode.detect(detector, pixels, image.view)
        seconds = time.perf_counter() - start
        yield image.path, Prediction(found.boxes, found.scores, found.labels, len(found.regions), seconds)
