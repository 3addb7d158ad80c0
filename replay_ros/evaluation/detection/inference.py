"""Ways to look at images with one network - whole, with the LSM, in slices - and their predictions, kept in a file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from perception_common.config import to_mapping
from perception_common.weights import file_sha256
from replay_ros.evaluation.detection.cache import (
    Prediction,
    Section,
    differences,
    read_predictions,
    write_predictions,
)
from replay_ros.evaluation.detection.protocols import ImageDetections
from replay_ros.evaluation.detection.slicing import SlicingConfig, detect_sliced
from replay_ros.evaluation.detection.truth import ClassChoice, EvaluatedImage
from yolc_ros.clusters import LSM_PRESETS
from yolc_ros.datasets.samples import read_image
from yolc_ros.detector import Detections, Detector

LSM = {"on": LSM_PRESETS["ours"], "off": None, "paper": LSM_PRESETS["paper"], "release": LSM_PRESETS["release"]}


@dataclass(frozen=True)
class InferenceMode:
    """lsm: key of `LSM`, whose "on" is our preset. slicing: uniform slices in its place."""

    lsm: str = "on"
    slicing: SlicingConfig | None = None

    @property
    def name(self) -> str:
        """As it stands in tables and results."""
        return f"LSM {self.lsm}" if self.slicing is None else f"slicing {self.slicing.size}"

    def detect(self, detector: Detector, image: np.ndarray) -> Detections:
        """InferenceMode at an RGB image (H, W, 3) uint8."""
        detector = self.prepare(detector)
        return detector.detect(image) if self.slicing is None else detect_sliced(detector, image, self.slicing)

    def prepare(self, detector: Detector) -> Detector:
        """Return the detector with the settings of this look."""
        lsm = LSM[self.lsm] if self.slicing is None else None
        return replace(detector, settings=replace(detector.settings, lsm=lsm))

    def conditions(self, detector: Detector) -> dict[str, Any]:
        """Everything on which predictions depend, beside the image, as plain values."""
        return {
            "model": detector.name,
            "weights_sha256": detector.weights.sha256 if detector.weights else "",
            "class_names": list(detector.class_names),
            "device": str(detector.policy.device),
            "precision": str(detector.policy.dtype).removeprefix("torch."),
            "settings": to_mapping(self.prepare(detector).settings),
            "slicing": None if self.slicing is None else to_mapping(self.slicing),
        }


@dataclass(frozen=True, eq=False)
class Looked:
    """Predictions of each image by one look, and what to tell about where they come from."""

    predictions: tuple[Prediction, ...]
    notes: tuple[str, ...] = ()

    @property
    def crops_per_image(self) -> float:
        """Mean number of second looks."""
        return float(np.mean([each.crops for each in self.predictions]))

    @property
    def seconds_per_image(self) -> float:
        """Mean time of a detection, without reading the file."""
        return float(np.mean([each.seconds for each in self.predictions]))

    def of_classes(self, names: Sequence[str], choice: ClassChoice) -> list[ImageDetections]:
        """Detections of the chosen classes in each image. names: the network's."""
        index = np.array([choice.of_class.get(name, -1) for name in names], np.int64)
        return [
            ImageDetections(each.boxes.astype(np.float64), each.scores, index[each.labels]).select(
                index[each.labels] >= 0
            )
            for each in self.predictions
        ]


def look_at_all(
    detector: Detector, look: InferenceMode, images: Sequence[EvaluatedImage], cache: Path | None = None
) -> Looked:
    """Predict each image. Raises InputError for a broken image or cache file.

    cache: a file of predictions. What it has for the same weights, settings, device and image files is taken from it,
    the rest is predicted and added, also when this is interrupted; predictions of another network are replaced.
    """
    if cache is None:
        return Looked(tuple(_predict(detector, look, [image.path for image in images]).values()))
    sections = read_predictions(cache)
    conditions = look.conditions(detector)
    notes = []
    known: dict[str, Prediction] = {}
    if section := sections.get(look.name):
        if changed := differences(section.conditions, conditions):
            notes.append(f"{look.name}: {cache} was made with other {', '.join(changed)}; all predicted again")
        else:
            known = dict(section.predictions)
    digests = [file_sha256(image.path) for image in images]
    missing = {digest: image.path for digest, image in zip(digests, images, strict=True) if digest not in known}
    if missing:
        new: dict[Path, Prediction] = {}
        try:
            _predict(detector, look, list(missing.values()), new)
        finally:
            known |= {digest: new[path] for digest, path in missing.items() if path in new}
            write_predictions(cache, {**sections, look.name: Section(conditions, known)})
    reused = len(images) - sum(digest in missing for digest in digests)
    if reused:
        notes.append(f"{look.name}: {reused} of {len(images)} predictions, with their seconds, come from {cache}")
    return Looked(tuple(known[digest] for digest in digests), tuple(notes))


def _predict(
    detector: Detector, look: InferenceMode, paths: Sequence[Path], into: dict[Path, Prediction] | None = None
) -> dict[Path, Prediction]:
    """Predict image files one by one into `into`, so that what is done stays when one of them is broken."""
    predictions = {} if into is None else into
    look.detect(detector, np.zeros((256, 256, 3), np.uint8))  # the first detection is slower than the rest
    for path in tqdm(paths, unit="image", desc=look.name, disable=None):
        pixels = read_image(path)
        start = time.perf_counter()
        found = look.detect(detector, pixels)
        seconds = time.perf_counter() - start
        predictions[path] = Prediction(found.boxes, found.scores, found.labels, len(found.regions), seconds)
    return predictions
