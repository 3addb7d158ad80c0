"""Places of objects on the ground against the truth: both GroundObjectArray messages, associated by stamp and box.

`flight` writes such truth as `ground_truth/objects`. Messages may come from rosbags or rclpy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from perception_common.errors import InputError
from perception_common.stamps import stamp_ns
from replay_ros.bags.reader import open_bag
from replay_ros.evaluation.detection.bags import corners_of, read_arrays
from yolc_ros.boxes import pairwise_iou
from yolc_ros.georeference.geodesy import LocalFrame

OBJECTS, TRUTH = "yolc/objects", "ground_truth/objects"
TYPE = "yolc_ros/msg/GroundObjectArray"
MIN_IOU = 0.5  # of the boxes of an object and its truth


@dataclass(frozen=True)
class PlaceFigures:
    """Errors of the places that belong to a true object.

    objects: number of them. rms_m, median_m: over all three axes. horizontal_rms_m: east and north. nees_per_dof: mean
    of the squared errors in units of the covariance over three; 1 is consistent. unmatched: places without a true
    object, as false detections have. without_place: detections by the reason why they have none.
    """

    objects: int
    rms_m: float | None
    median_m: float | None
    horizontal_rms_m: float | None
    nees_per_dof: float | None
    unmatched: int
    without_place: Mapping[str, int] = field(default_factory=dict)


def score_places_of_bag(bag: Path, topic: str = OBJECTS) -> PlaceFigures | None:
    """Compare the places in a replayed bag with its truth; None where it lacks either. Raises InputError."""
    with open_bag(bag) as opened:
        truth = opened.topics.get(f"/{TRUTH}")
        if truth is None or truth.type != TYPE or not truth.count or f"/{topic.lstrip('/')}" not in opened.topics:
            return None
        return score_places(read_arrays(opened, topic, TYPE), read_arrays(opened, truth.name, TYPE))


def score_places(published: Iterable[Any], truths: Iterable[Any]) -> PlaceFigures:
    """Compare GroundObjectArray messages with those of the truth. Raises InputError for a truth without an origin."""
    true_of = {stamp_ns(message.header): message for message in truths}
    errors, covariances = [], []
    unmatched, without = 0, Counter[str]()
    for message in published:
        truth = true_of.get(stamp_ns(message.header))
        if truth is None:
            continue
        located = [each for each in message.objects if np.isfinite(each.latitude)]
        without.update(each.reason for each in message.objects if not np.isfinite(each.latitude))
        frame = _frame_of(truth)
        pairs = _matched(located, truth.objects)
        unmatched += len(located) - len(pairs)
        for found, true in pairs:
            place = frame.to_enu(found.latitude, found.longitude, found.height)
            errors.append(place - [true.position.x, true.position.y, true.position.z])
            covariances.append(np.array(found.covariance, np.float64).reshape(3, 3))
    if not errors:
        return PlaceFigures(0, None, None, None, None, unmatched, dict(without))
    off = np.array(errors)
    distances = np.linalg.norm(off, axis=1)
    nees = [error @ np.linalg.solve(C, error) / 3 for error, C in zip(off, covariances, strict=True)]
    return PlaceFigures(
        objects=len(off),
        rms_m=float(np.sqrt(np.mean(distances**2))),
        median_m=float(np.median(distances)),
        horizontal_rms_m=float(np.sqrt(np.mean(np.sum(off[:, :2] ** 2, axis=1)))),
        nees_per_dof=float(np.mean(nees)),
        unmatched=unmatched,
        without_place=dict(without),
    )


def describe_places(figures: PlaceFigures) -> str:
    """Describe the figures in one line."""
    if figures.rms_m is None or figures.nees_per_dof is None:
        return f"no place belongs to a true object; {figures.unmatched} have none"
    return (
        f"{figures.objects} places off by {figures.rms_m:.2f} m (RMS), {figures.median_m:.2f} m (median); "
        f"squared error over covariance {figures.nees_per_dof:.2f} (1: consistent)"
    )


def _frame_of(truth: Any) -> LocalFrame:
    origin = (float(truth.origin_latitude), float(truth.origin_longitude), float(truth.origin_height))
    if not np.isfinite(origin).all():
        raise InputError("the true objects have no origin of their frame: write it, or leave them out")
    return LocalFrame(*origin)


def _matched(found: Sequence[Any], true: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Return pairs of objects whose boxes overlap, the largest IoU first, each once."""
    iou = pairwise_iou(corners_of([each.detection for each in found]), corners_of([each.detection for each in true]))
    pairs = []
    while iou.size and iou.max() >= MIN_IOU:
        i, j = divmod(int(iou.argmax()), iou.shape[1])
        pairs.append((found[i], true[j]))
        iou[i], iou[:, j] = 0.0, 0.0
    return pairs
