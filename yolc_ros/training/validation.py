"""Validation during training: AP50 on held-out images, with and without the crop pass."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np

from yolc_ros.clusters import LSM_PRESETS, LsmConfig
from yolc_ros.datasets.mixture import Mixture
from yolc_ros.datasets.samples import Sample
from yolc_ros.datasets.sources import SourcesConfig
from yolc_ros.detector import Detections, Detector, DetectorSettings, ObjectDetector
from yolc_ros.training.average_precision import ClassResult, average_precision


@dataclass(frozen=True)
class ValidationConfig:
    """A held-out set of images, from one or several sources. classes: classes to evaluate; empty: all."""

    name: str
    sources: SourcesConfig
    classes: tuple[str, ...] = ()
    images: int = 100  # number of images from the start of each source
    max_side: int = 0  # of the network's input in the first pass, pixels; 0: the image's own size
    max_detections: int = 500
    lsm: LsmConfig = field(default_factory=lambda: LSM_PRESETS["heat"])


def validate(detector: Detector, held_out: Mixture, config: ValidationConfig) -> dict[str, float]:
    """Compute AP50 (mean over classes) and seconds per image, of the first pass alone and, as NAME_lsm, with the LSM.

    With several classes, the result includes the AP50 of each class with the LSM.
    """
    metrics: dict[str, float] = {}
    by_class: dict[str, float] = {}
    for name, lsm in ((config.name, None), (f"{config.name}_lsm", config.lsm)):
        settings = DetectorSettings(
            max_side=config.max_side, score_threshold=0.01, max_detections=config.max_detections, lsm=lsm
        )
        by_class, seconds = _average_precisions(replace(detector, settings=settings), held_out, config)
        metrics[f"{name}_ap50"] = float(np.mean(list(by_class.values()))) if by_class else float("nan")
        metrics[f"{name}_seconds"] = seconds
    if len(by_class) > 1:
        metrics |= {f"{config.name}_lsm_ap50_{label}": value for label, value in by_class.items()}
    return metrics


def _average_precisions(
    detector: ObjectDetector, held_out: Mixture, config: ValidationConfig
) -> tuple[dict[str, float], float]:
    """AP50 of each evaluated class that has objects, and mean seconds per image."""
    results: dict[str, list[ClassResult]] = {name: [] for name in config.classes or detector.class_names}
    seconds = []
    for sample in held_out.first(config.images):
        start = time.perf_counter()
        found = detector.detect(sample.image)
        seconds.append(time.perf_counter() - start)
        for name, result in zip(detector.class_names, class_results(sample, found), strict=True):
            if result is not None and name in results:
                results[name].append(result)
    values = {name: average_precision(images) for name, images in results.items()}
    return {name: value for name, value in values.items() if np.isfinite(value)}, float(np.mean(seconds or [0.0]))


def class_results(sample: Sample, found: Detections) -> list[ClassResult | None]:
    """Split the detections and ground truth of an image by class; None for classes without annotations."""
    truth = sample.truth
    return [
        ClassResult(
            boxes=found.boxes[found.labels == label],
            scores=found.scores[found.labels == label],
            true_boxes=truth.boxes[truth.labels == label],
            ignored=truth.ignored,
        )
        if truth.known[label]
        else None
        for label in range(len(truth.known))
    ]
