"""The difference of the AP50 of two detectors on the same images, with its uncertainty by a paired bootstrap.

Images are drawn with replacement, the same ones for both detectors (Efron and Tibshirani, An Introduction to the
Bootstrap, 1993, chapter 13: percentile intervals).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from replay_ros.evaluation.detection.metrics import assign_classes
from replay_ros.evaluation.detection.protocols import ImageDetections, ImageTruth, Protocol
from replay_ros.evaluation.detection.results import PairedDifference
from yolc_ros.training.average_precision import HIT, MISS, MatchedDetections

REPEATS = 1000  # draws of the images
_RECALLS = np.linspace(0, 1, 101)  # as COCO


def paired_difference(
    truths: Sequence[ImageTruth],
    found: Sequence[ImageDetections],
    reference: Sequence[ImageDetections],
    classes: Sequence[str],
    protocol: Protocol,
    *,
    name: str,
    repeats: int = REPEATS,
    seed: int = 0,
) -> PairedDifference | None:
    """Compare the detections of each image with those of the reference `name`; labels are indices into `classes`.

    AP50 is the mean over the classes with objects, at COCO's 101 recalls, whatever the protocol; its rules for regions
    and its number of detections hold. None without objects.
    """
    ours, theirs = (
        [_SortedClass.of(images) for images in assign_classes(truths, each, classes, protocol)]
        for each in (found, reference)
    )
    once = np.ones(len(truths))
    observed = _mean_ap50(ours, once) - _mean_ap50(theirs, once)
    if not np.isfinite(observed):
        return None
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(truths), np.full(len(truths), 1 / len(truths)), repeats)
    differences = np.array([_mean_ap50(ours, draw) - _mean_ap50(theirs, draw) for draw in draws])
    differences = differences[np.isfinite(differences)]
    low, high = np.quantile(differences, (0.025, 0.975))
    return PairedDifference(name, float(observed), float(low), float(high), float((differences >= 0).mean()))


@dataclass(frozen=True)
class _SortedClass:
    """The detections of a class at IoU 0.5, highest score first, without those that do not count.

    is_hit: (N,) bool. image: (N,) int64, index. objects: (images,) number in each image.
    """

    is_hit: np.ndarray
    image: np.ndarray
    objects: np.ndarray

    @classmethod
    def of(cls, images: Sequence[MatchedDetections]) -> _SortedClass:
        """Sort the detections of all images."""
        scores = np.concatenate([np.zeros(0), *(each.scores for each in images)])
        outcomes = np.concatenate([np.zeros(0, np.int8), *(each.outcomes[0] for each in images)])
        image = np.repeat(np.arange(len(images)), [len(each.scores) for each in images])
        order = np.argsort(-scores, kind="stable")
        order = order[(outcomes[order] == HIT) | (outcomes[order] == MISS)]
        return cls(outcomes[order] == HIT, image[order], np.array([each.objects for each in images]))


def _mean_ap50(classes: Sequence[_SortedClass], times: np.ndarray) -> float:
    """Return the mean AP50 of the classes with objects, where image i occurs times[i] times; NaN without objects."""
    values = [_ap50(each, times) for each in classes if each.objects @ times > 0]
    return float(np.mean(values)) if values else float("nan")


def _ap50(found: _SortedClass, times: np.ndarray) -> float:
    """Return the mean, over 101 recalls, of the largest precision at this recall or a higher one."""
    weight = times[found.image]
    hits = np.cumsum(found.is_hit * weight)
    recall = hits / (found.objects @ times)
    precision = hits / np.maximum(np.cumsum(weight), 1e-12)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(envelope[np.searchsorted(recall, _RECALLS, side="left")].mean())
