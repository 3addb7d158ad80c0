"""Scores of detections by one of the protocols: average precision, recall, curves, counts at a score threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from replay_ros.evaluation.detection.calibration.reliability import measure_reliability
from replay_ros.evaluation.detection.protocols import (
    ImageDetections,
    ImageTruth,
    Protocol,
    apply_regions,
    is_counted,
    is_set_aside,
)
from replay_ros.evaluation.detection.results import (
    ClassScores,
    Curve,
    DetectionScores,
    ImageCounts,
    OperatingPoint,
)
from yolc_ros.boxes import box_areas
from yolc_ros.training.average_precision import (
    ANY_AREA,
    HIT,
    MISS,
    NEITHER,
    ClassResult,
    MatchedDetections,
    assign_hits,
    precision_over_recall,
)

MIN_IOUS = np.linspace(0.5, 0.95, 10)
SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}  # pixels, as COCO
THRESHOLDS = tuple(number / 20 for number in range(1, 20))  # of the operating points over the score
CURVE_POINTS = 201  # at most, of a stored curve (empirical)

_AP50, _AP75 = 0, 5  # indices into MIN_IOUS


def score_detections(
    truths: Sequence[ImageTruth],
    found: Sequence[ImageDetections],
    classes: Sequence[str],
    protocol: Protocol,
    score_threshold: float = 0.3,
    names: Sequence[str] | None = None,
) -> DetectionScores:
    """Score the detections of each image; labels are indices into `classes`.

    score_threshold: of the operating point. names: of the images, for their counts; None: their indices.
    """
    truths, found = _apply_protocol(truths, found, protocol)
    labels: list[tuple[int, ...]] = [(label,) for label in range(len(classes))]
    single = groups = [_assign(truths, found, group, protocol) for group in labels]
    weights = _class_weights(truths, classes, protocol)
    if protocol.joins_classes:
        labels, weights = [tuple(range(len(classes)))], np.ones(1)
        groups = [_assign(truths, found, labels[0], protocol)]

    strict = _mean_ap(groups, weights, protocol, protocol.max_detections)
    wide = _mean_ap(groups, weights, protocol, protocol.max_detections_else)
    by_size = {}
    for size, areas in SIZES.items():
        of_size = [_assign(truths, found, group, protocol, areas) for group in labels]
        by_size[size] = _protocol_ap(_mean_ap(of_size, weights, protocol, protocol.max_detections_else), protocol)
    counts = np.array([_counts(group, score_threshold) for group in groups], np.int64)
    counts = counts.reshape(len(groups), len(truths), 3)
    scores, is_hit = scored_hits([image for group in groups for image in group.images])
    return DetectionScores(
        ap=_protocol_ap(strict, protocol),
        ap50=_finite(wide[_AP50]),
        ap75=_finite(wide[_AP75]),
        by_size=by_size,
        recall={
            str(limit): _finite(_mean_over_groups([_recall(group, limit) for group in groups], weights).mean())
            for limit in protocol.recall_limits
        },
        operating=_operating_point(score_threshold, counts.sum(axis=(0, 1))),
        best=_best_point(groups, score_threshold),
        by_class={
            name: _class_scores(group, protocol, score_threshold)
            for name, group in zip(classes, single, strict=True)
            if group.objects
        },
        by_image=tuple(
            ImageCounts(name, hits=hits, false=false, missed=missed)
            for name, (hits, false, missed) in zip(
                names or map(str, range(len(truths))), counts.sum(axis=0).tolist(), strict=True
            )
        ),
        by_score=tuple(
            _operating_point(threshold, _pooled_counts(scores, is_hit, counts[..., [0, 2]].sum(), threshold))
            for threshold in THRESHOLDS
        ),
        reliability=measure_reliability(scores, is_hit, score_threshold),
    )


def scored_hits(images: Sequence[MatchedDetections]) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores (N,) of all boxes that count at IoU 0.5, and which of them are right, (N,) bool."""
    scores = np.concatenate([np.zeros(0), *(image.scores for image in images)])
    outcomes = np.concatenate([np.zeros(0, np.int8), *(image.outcomes[_AP50] for image in images)])
    counted = outcomes != NEITHER
    return scores[counted], outcomes[counted] == HIT


def assign_classes(
    truths: Sequence[ImageTruth], found: Sequence[ImageDetections], classes: Sequence[str], protocol: Protocol
) -> list[list[MatchedDetections]]:
    """Assign the detections of each class to its objects, for each image, by the protocol's rules for AP50."""
    truths, found = _apply_protocol(truths, found, protocol)
    labels = [tuple(range(len(classes)))] if protocol.joins_classes else [(label,) for label in range(len(classes))]
    return [_assign(truths, found, group, protocol).limited(protocol.max_detections_else) for group in labels]


# --- assignment of detections to objects -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Group:
    """The assignments of one or more classes together, one for each image.

    ranks: of each detection by score, among the detections that the protocol's limit counts: those of the group, or
    all of the image. unscored: number of objects that are never found and count in recall and AP; those of `images` do
    not include them, so that the counts of hits and missed objects do not either.
    """

    images: tuple[MatchedDetections, ...]
    ranks: tuple[np.ndarray, ...]
    unscored: tuple[int, ...]

    @property
    def objects(self) -> int:
        return sum(image.objects for image in self.images) + sum(self.unscored)

    def limited(self, limit: int) -> list[MatchedDetections]:
        """Return the assignments of the `limit` highest-scoring detections of each image.

        Detections are assigned in the order of their scores, so dropping the last ones changes no other.
        """
        counts = [int((ranks < limit).sum()) for ranks in self.ranks]
        return [
            MatchedDetections(image.scores[:count], image.outcomes[:, :count], image.objects + unscored)
            for image, count, unscored in zip(self.images, counts, self.unscored, strict=True)
        ]


def _assign(
    truths: Sequence[ImageTruth],
    found: Sequence[ImageDetections],
    labels: Sequence[int],
    protocol: Protocol,
    areas: tuple[float, float] = ANY_AREA,
) -> _Group:
    """Assign the detections of these classes to objects; `found` is sorted, highest score first."""
    limit = max(protocol.max_detections, protocol.max_detections_else)
    images, ranks, unscored = [], [], []
    for truth, detections in zip(truths, found, strict=True):
        chosen = np.flatnonzero(np.isin(detections.labels, labels))
        rank = chosen if protocol.limit_over == "image" else np.arange(len(chosen))
        chosen, rank = chosen[rank < limit], rank[rank < limit]
        of_group, aside = np.isin(truth.labels, labels), is_set_aside(truth, protocol)
        result = ClassResult(
            detections.boxes[chosen],
            detections.scores[chosen],
            truth.boxes[of_group & ~aside],
            truth.boxes[of_group & aside],
        )
        images.append(assign_hits(result, MIN_IOUS, areas))
        never_found = box_areas(truth.boxes[of_group & aside & is_counted(truth, protocol)])
        unscored.append(int(((never_found >= areas[0]) & (never_found <= areas[1])).sum()))
        ranks.append(rank)
    return _Group(tuple(images), tuple(ranks), tuple(unscored))


def _apply_protocol(
    truths: Sequence[ImageTruth], found: Sequence[ImageDetections], protocol: Protocol
) -> tuple[list[ImageTruth], list[ImageDetections]]:
    """Apply the ignored regions and sort the detections, highest score first."""
    kept = [apply_regions(truth, detections, protocol) for truth, detections in zip(truths, found, strict=True)]
    return [truth for truth, _ in kept], [each.select(_by_score(each.scores)) for _, each in kept]


def _by_score(scores: np.ndarray) -> np.ndarray:
    return np.argsort(-scores, kind="stable")


def _class_weights(truths: Sequence[ImageTruth], classes: Sequence[str], protocol: Protocol) -> np.ndarray:
    """Return (C,): number of images with an object of the class, or 1 without weighting."""
    if not protocol.weighted_classes or not truths:
        return np.ones(len(classes))
    held = [np.unique(truth.labels[is_counted(truth, protocol)]) for truth in truths]
    return np.bincount(np.concatenate(held).astype(np.int64), minlength=len(classes)).astype(np.float64)


# --- figures -----------------------------------------------------------------------------------------------------


def _ap(group: _Group, protocol: Protocol, limit: int) -> np.ndarray:
    """Return the AP at each IoU, (10,); NaN without objects."""
    values = precision_over_recall(group.limited(limit), at_all_points=protocol.at_all_points)
    return np.broadcast_to(values, MIN_IOUS.shape)


def _mean_ap(groups: Sequence[_Group], weights: np.ndarray, protocol: Protocol, limit: int) -> np.ndarray:
    """Return the weighted mean AP of the groups at each IoU, (10,)."""
    return _mean_over_groups([_ap(group, protocol, limit) for group in groups], weights)


def _recall(group: _Group, limit: int) -> np.ndarray:
    """Return the share of found objects at each IoU, (10,); NaN without objects."""
    if not group.objects:
        return np.full(len(MIN_IOUS), np.nan)
    hits = sum((image.outcomes == HIT).sum(axis=1) for image in group.limited(limit))
    return np.asarray(hits / group.objects)


def _mean_over_groups(values: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean (10,) of the groups' values (10,) without NaN; NaN without any."""
    table = np.array(values).reshape(-1, len(MIN_IOUS))
    valid = np.isfinite(table).all(axis=1) & (weights > 0)
    if not valid.any():
        return np.full(len(MIN_IOUS), np.nan)
    return np.asarray(np.average(table[valid], axis=0, weights=weights[valid]))


def _protocol_ap(values: np.ndarray, protocol: Protocol) -> float | None:
    """Return the protocol's AP from the AP at each IoU (10,)."""
    if protocol.ap_iou is None:
        return _finite(values.mean())
    return _finite(values[np.argmin(abs(MIN_IOUS - protocol.ap_iou))])


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _class_scores(group: _Group, protocol: Protocol, score_threshold: float) -> ClassScores:
    strict, wide = (_ap(group, protocol, limit) for limit in (protocol.max_detections, protocol.max_detections_else))
    return ClassScores(
        ap=_protocol_ap(strict, protocol),
        ap50=_finite(wide[_AP50]),
        ap75=_finite(wide[_AP75]),
        objects=group.objects,
        operating=_operating_point(score_threshold, _counts(group, score_threshold).sum(axis=0)),
        best=_best_point([group], score_threshold),
        curve=_thinned(_full_curve([group])),
    )


def _counts(group: _Group, score_threshold: float) -> np.ndarray:
    """Return hits, false detections and missed objects of each image at IoU 0.5 and a threshold, (images, 3) int64."""
    rows = []
    for image in group.images:
        outcomes = image.outcomes[_AP50][image.scores >= score_threshold]
        hits = int((outcomes == HIT).sum())
        rows.append((hits, int((outcomes == MISS).sum()), image.objects - hits))
    return np.array(rows, np.int64).reshape(-1, 3)


def _pooled_counts(scores: np.ndarray, is_hit: np.ndarray, objects: int, threshold: float) -> np.ndarray:
    """Return hits, false detections and missed objects of all images at a threshold, (3,) int64."""
    hits, false = ((scores >= threshold) & which for which in (is_hit, ~is_hit))
    return np.array([hits.sum(), false.sum(), objects - hits.sum()], np.int64)


def _operating_point(score: float, counts: np.ndarray) -> OperatingPoint:
    """counts: (3,) int64, hits, false detections and missed objects."""
    hits, false, missed = counts.tolist()
    precision = hits / (hits + false) if hits + false else None
    recall = hits / (hits + missed) if hits + missed else None
    f1 = 2 * hits / (2 * hits + false + missed) if hits + false + missed else None
    return OperatingPoint(score, hits, false, missed, precision, recall, f1)


def _full_curve(groups: Sequence[_Group]) -> np.ndarray:
    """Return recall, precision and score at each hit of the groups at IoU 0.5, highest score first, (3, hits)."""
    scores, is_hit = scored_hits([image for group in groups for image in group.images])
    order = _by_score(scores)
    hits = np.cumsum(is_hit[order])
    points = np.stack(
        [hits / max(sum(group.objects for group in groups), 1), hits / np.arange(1, len(hits) + 1), scores[order]]
    )
    return points[:, is_hit[order]]


def _best_point(groups: Sequence[_Group], score_threshold: float) -> OperatingPoint:
    """Return the operating point with the highest F1; that at the threshold without hits."""
    recall, precision, scores = _full_curve(groups)
    score = float(scores[np.argmax(2 * recall * precision / (recall + precision))]) if len(scores) else score_threshold
    counts = sum((_counts(group, score).sum(axis=0) for group in groups), np.zeros(3, np.int64))
    return _operating_point(score, counts)


def _thinned(curve: np.ndarray) -> Curve:
    """Return at most CURVE_POINTS points of a curve, the first and the last among them."""
    count = curve.shape[1]
    index = np.unique(np.linspace(0, count - 1, min(count, CURVE_POINTS)).round().astype(int))
    recall, precision, score = curve[:, index].round(6).tolist()
    return Curve(tuple(recall), tuple(precision), tuple(score))
