"""HOTA, IDF1, MOTA and id switches of one sequence of images.

trackeval computes the same; its requirements exclude opencv-python-headless, which the nodes need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from yolc_ros.boxes import pairwise_iou

_ALPHAS = np.arange(0.05, 0.99, 0.05)  # IoU of a hit in HOTA: Luiten et al., section 5
_HIT_IOU = 0.5  # in MOTA, id switches and IDF1
_TINY = 1e-9  # of an IoU at a threshold


@dataclass(frozen=True, eq=False)
class TrackedBoxes:
    """Boxes of one image with ids. boxes: (N, 4) x0, y0, x1, y1, pixels. ids, labels: (N,) int64; ids occur once."""

    boxes: np.ndarray
    ids: np.ndarray
    labels: np.ndarray

    def select(self, index: np.ndarray) -> TrackedBoxes:
        """Select by a mask (N,) bool or by indices (M,) int."""
        return TrackedBoxes(self.boxes[index], self.ids[index], self.labels[index])


@dataclass(frozen=True)
class IdSwitch:
    """An object that has another id than before. image: index. object: its true id. before, after: ids of the track."""

    image: int
    object: int
    before: int
    after: int


@dataclass(frozen=True)
class TrackingScores:
    """Scores of a sequence, 0 to 1 but for MOTA, which may be negative; NaN where there is no box of either side.

    id_switches: how often an object gets another id; switches: each of them. objects, boxes: of the truth. tracks: ids
    given.
    """

    hota: float
    idf1: float
    mota: float
    id_switches: int
    objects: int
    boxes: int
    tracks: int
    switches: tuple[IdSwitch, ...]


@dataclass(frozen=True, eq=False)
class _Sequence:
    """A sequence with ids from 0 without gaps.

    truths, found: ids of each image. ious: (N, M) of each image. object_ids, track_ids: the given id of each.
    """

    truths: list[np.ndarray]
    found: list[np.ndarray]
    ious: list[np.ndarray]
    object_ids: np.ndarray
    track_ids: np.ndarray

    @property
    def objects(self) -> int:
        """Number of objects."""
        return len(self.object_ids)

    @property
    def tracks(self) -> int:
        """Number of ids given."""
        return len(self.track_ids)

    @property
    def boxes(self) -> tuple[int, int]:
        """Number of boxes of the truth and of the tracks."""
        return sum(map(len, self.truths)), sum(map(len, self.found))


def score_tracking(truths: Sequence[TrackedBoxes], found: Sequence[TrackedBoxes]) -> TrackingScores:
    """Score the ids of a sequence, image by image; objects of different classes never match."""
    sequence = _sequence(truths, found)
    mota, switches = _mota(sequence)
    return TrackingScores(
        hota=_hota(sequence),
        idf1=_idf1(sequence),
        mota=mota,
        id_switches=len(switches),
        objects=sequence.objects,
        boxes=sequence.boxes[0],
        tracks=sequence.tracks,
        switches=switches,
    )


def _sequence(truths: Sequence[TrackedBoxes], found: Sequence[TrackedBoxes]) -> _Sequence:
    none = [np.zeros(0, np.int64)]
    names = [np.unique(np.concatenate([*none, *(each.ids for each in side)])) for side in (truths, found)]
    return _Sequence(
        [np.searchsorted(names[0], each.ids) for each in truths],
        [np.searchsorted(names[1], each.ids) for each in found],
        [
            pairwise_iou(true.boxes, each.boxes) * (true.labels[:, None] == each.labels[None])
            for true, each in zip(truths, found, strict=True)
        ],
        object_ids=names[0],
        track_ids=names[1],
    )


def _hota(sequence: _Sequence) -> float:
    """Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 2021, equations 15 to 18.

    An image's boxes are matched once for all thresholds, by IoU times how well the two ids overlap over the sequence,
    as the authors' code does.
    """
    overlap, of_object, of_track = np.zeros((sequence.objects, sequence.tracks)), *_lengths(sequence)
    for true, found, iou in zip(sequence.truths, sequence.found, sequence.ious, strict=True):
        union = iou.sum(axis=0, keepdims=True) + iou.sum(axis=1, keepdims=True) - iou
        overlap[np.ix_(true, found)] += np.where(union > 0, iou / np.maximum(union, 1e-12), 0.0)
    overlap /= np.maximum(of_object[:, None] + of_track[None] - overlap, 1e-12)
    pairs = []  # object, track and IoU of all matched boxes
    for true, found, iou in zip(sequence.truths, sequence.found, sequence.ious, strict=True):
        rows, columns = linear_sum_assignment(-overlap[np.ix_(true, found)] * iou)
        pairs.append(np.stack([true[rows], found[columns], iou[rows, columns]]))
    objects, tracks, ious = np.concatenate([np.zeros((3, 0)), *pairs], axis=1)
    if not sum(sequence.boxes):
        return float("nan")
    values = []
    for alpha in _ALPHAS:
        good = ious >= alpha - _TINY
        (o, t), hits = np.unique(np.stack([objects, tracks])[:, good].astype(np.int64), axis=1, return_counts=True)
        association = hits / (of_object[o] + of_track[t] - hits)
        # sqrt(DetA AssA) with AssA = sum(hits association) / good and DetA = good / (hits, false and missed boxes)
        values.append(np.sqrt((hits * association).sum() / (sum(sequence.boxes) - good.sum())))
    return float(np.mean(values))


def _lengths(sequence: _Sequence) -> tuple[np.ndarray, np.ndarray]:
    """Number of boxes of each object and of each track."""
    none = [np.zeros(0, np.int64)]
    return (
        np.bincount(np.concatenate(none + sequence.truths), minlength=sequence.objects),
        np.bincount(np.concatenate(none + sequence.found), minlength=sequence.tracks),
    )


def _idf1(sequence: _Sequence) -> float:
    """Ristani et al., "Performance Measures ... for Multi-Target, Multi-Camera Tracking", ECCV workshops 2016."""
    common = np.zeros((sequence.objects, sequence.tracks))
    for true, found, iou in zip(sequence.truths, sequence.found, sequence.ious, strict=True):
        common[np.ix_(true, found)] += iou >= _HIT_IOU - _TINY
    boxes = sum(sequence.boxes)
    return float(2 * common[linear_sum_assignment(-common)].sum() / boxes) if boxes else float("nan")


def _mota(sequence: _Sequence) -> tuple[float, tuple[IdSwitch, ...]]:
    """MOTA and id switches: Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance", 2008.

    A pair of the image before stays together while it is a hit; the others are matched by IoU.
    """
    last, kept = np.full(sequence.objects, -1), np.full(sequence.objects, -1)
    hits, switches = 0, []
    for image, (true, found, iou) in enumerate(zip(sequence.truths, sequence.found, sequence.ious, strict=True)):
        if not len(true):
            continue
        value = np.where(iou >= _HIT_IOU - _TINY, iou + 1000.0 * (kept[true][:, None] == found[None]), 0.0)
        rows, columns = linear_sum_assignment(-value)
        rows, columns = (each[value[rows, columns] > 0] for each in (rows, columns))
        objects, tracks = true[rows], found[columns]
        for k in np.flatnonzero((last[objects] >= 0) & (last[objects] != tracks)):
            ids = sequence.object_ids[objects[k]], *sequence.track_ids[[last[objects[k]], tracks[k]]]
            switches.append(IdSwitch(image, *map(int, ids)))
        hits += len(rows)
        kept[:] = -1
        last[objects] = kept[objects] = tracks
    boxes, given = sequence.boxes
    return (hits - (given - hits) - len(switches)) / boxes if boxes else float("nan"), tuple(switches)
