"""How good a network is while it trains: AP50 on held-out images, with and without the second look."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np

from yolc_ros.clusters import LsmConfig
from yolc_ros.datasets.mixture import SourcesConfig
from yolc_ros.datasets.samples import Sample, Source
from yolc_ros.detector import Detections, Detector
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
    lsm: LsmConfig = field(default_factory=LsmConfig)


def validate(detector: Detector, sources: tuple[Source, ...], config: ValidationConfig) -> dict[str, float]:
    """AP50 (mean over classes) as NAME_ap50 (whole image alone) and NAME_ap50_lsm, seconds an image, AP50 by class."""
    metrics: dict[str, float] = {}
    for suffix, lsm in (("", None), ("_lsm", config.lsm)):
        settings = replace(
            detector.settings,
            score_threshold=0.01,
            max_side=config.max_side,
            max_detections=config.max_detections,
            lsm=lsm,
        )
        looking = replace(detector, settings=settings)
        seconds = 0.0
        results: list[list[ClassResult | None]] = []
        for source in sources:
            for index in range(min(len(source), config.images)):
                sample = source.load(index)
                start = time.perf_counter()
                found = looking.detect(sample.image)
                seconds += time.perf_counter() - start
                results.append(class_results(sample, found))
        names = detector.class_names
        by_class = {
            name: average_precision([row[label] for row in results if row[label] is not None])  # type: ignore[misc]
            for label, name in enumerate(names)
            if not config.classes or name in config.classes
        }
        there = {name: value for name, value in by_class.items() if np.isfinite(value)}
        metrics[f"{config.name}_ap50{suffix}"] = float(np.mean(list(there.values()))) if there else 0.0
        metrics[f"{config.name}_seconds{suffix}"] = seconds / max(len(results), 1)
    if len(there) > 1:
        metrics |= {f"{config.name}_ap50_lsm_{name}": value for name, value in there.items()}
    return metrics


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
