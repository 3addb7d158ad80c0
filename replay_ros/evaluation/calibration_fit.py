"""Fits the calibration of a network's scores to labelled images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from replay_ros.evaluation.detection.datasets import Dataset
from replay_ros.evaluation.detection.inference import InferenceMode, run_inference
from replay_ros.evaluation.detection.metrics import assign_classes, scored_hits
from replay_ros.evaluation.detection.protocols import PROTOCOLS
from replay_ros.evaluation.detection.truth import choose_classes
from yolc_ros.calibration import calibrate, fit_calibration
from yolc_ros.detector import Detector
from yolc_ros.network.config import ScoreCalibration

LOWEST = 0.1  # raw score of the boxes that are fitted: below it hardly anything is an object (empirical)


@dataclass(frozen=True, eq=False)
class ScoredBoxesOfSet:
    """Boxes that a network found in a set of images. scores: (N,), raw. is_hit: (N,) bool, at IoU 0.5.

    objects: labelled in the images.
    """

    scores: np.ndarray
    is_hit: np.ndarray
    objects: int


def find_boxes(detector: Detector, dataset: Dataset, classes: str | None, cache: Path | None) -> ScoredBoxesOfSet:
    """Find boxes with the node's default looks. classes: see `choose_classes`. cache: see `run_inference`."""
    choice = choose_classes(dataset.categories, detector.class_names, classes)
    labelled = dataset.read(choice)
    run = run_inference(detector, InferenceMode(), labelled.images, cache)
    images = [image for image in labelled.images if image.path in run.predictions]
    found = run.of_classes(images, detector.class_names, choice)
    groups = assign_classes([image.truth for image in images], found, choice.classes, PROTOCOLS["coco-500"])
    matched = [image for group in groups for image in group]
    return ScoredBoxesOfSet(*scored_hits(matched), sum(image.objects for image in matched))


def fit_sets(sets: Sequence[ScoredBoxesOfSet], weights_sha256: str) -> ScoreCalibration:
    """Fit one calibration to several sets, which count alike whatever their numbers of boxes.

    Raises ValueError as `fit_calibration`.
    """
    counted = [each.scores >= LOWEST for each in sets]
    weights = [np.full(which.sum(), 1 / max(which.sum(), 1)) for which in counted]
    fitted = fit_calibration(
        np.concatenate([each.scores[which] for each, which in zip(sets, counted, strict=True)]),
        np.concatenate([each.is_hit[which] for each, which in zip(sets, counted, strict=True)]),
        np.concatenate(weights),
    )
    return replace(fitted, weights_sha256=weights_sha256)


def f1_over_threshold(found: ScoredBoxesOfSet, calibration: ScoreCalibration, thresholds: np.ndarray) -> np.ndarray:
    """Return the F1 (T,) of the boxes from each threshold (T,) of the calibrated score on."""
    scores = calibrate(found.scores, calibration)
    kept = scores[None] >= thresholds[:, None]
    hits = (kept & found.is_hit).sum(axis=1)
    return np.asarray(2 * hits / np.maximum(kept.sum(axis=1) + found.objects, 1))
