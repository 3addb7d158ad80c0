"""How good a network is while it trains: AP50 on held-out images, with and without the second look."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np

from yolc_ros.clusters import LSM_PRESETS, LsmConfig
from yolc_ros.datasets.mixture import Mixture, SourcesConfig
from yolc_ros.datasets.samples import Sample
from yolc_ros.detector import Detections, Detector, DetectorSettings
from yolc_ros.training.average_precision import ClassResult, average_precision


@dataclass(frozen=True)
class ValidationConfig:
    """A held-out set. classes: those that are scored, empty for all; of several sources the images are joined."""

    name: str
    sources: SourcesConfig
    classes: tuple[str, ...] = ()
    images: int = 100  # the first ones of each source
    max_side: int = 0  # of the network's input in the first look, pixels; 0: the image's own size
    max_detections: int = 500
    lsm: LsmConfig = field(default_factory=lambda: LSM_PRESETS["ours"])


def validate(detector: Detector, held_out: Mixture, config: ValidationConfig) -> dict[str, float]:
    """AP50 (mean over classes) and seconds an image of the whole image alone and, as NAME_lsm, with the second look.

    Where several classes are scored their AP50s with the second look are there too.
    """
    metrics: dict[str, float] = {}
    by_class: dict[str, float] = {}
    for name, lsm in ((config.name, None), (f"{config.name}_lsm", config.lsm)):
        settings = DetectorSettings(
            config.max_side, score_threshold=0.01, max_detections=config.max_detections, lsm=lsm
        )
        by_class, seconds = _average_precisions(replace(detector, settings=settings), held_out, config)
        metrics[f"{name}_ap50"] = float(np.mean(list(by_class.values()))) if by_class else float("nan")
        metrics[f"{name}_seconds"] = seconds
    if len(by_class) > 1:
        metrics |= {f"{config.name}_lsm_ap50_{label}": value for label, value in by_class.items()}
    return metrics


def _average_precisions(
    detector: Detector, held_out: Mixture, config: ValidationConfig
) -> tuple[dict[str, float], float]:
    """AP50 of each class that is scored and there, and mean seconds of a detection."""
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
    """Split an image's detections and truth by class; None for classes that nobody looked for in this image."""
    truth = sample.truth
    return [
        ClassResult(
            found.boxes[found.labels == label],
            found.scores[found.labels == label],
            truth.boxes[truth.labels == label],
            truth.ignored,
        )
        if truth.known[label]
        else None
        for label in range(len(truth.known))
    ]
