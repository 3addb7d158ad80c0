"""Scores the tracks in a replayed bag against true ones, both TrackArray messages, associated by stamp.

`flight` and `make_bag` write such truth as `ground_truth/tracks`, with the marks of `ground_truth/detections`: objects
of score 0 are not scored, and classes whose name begins with "ignore" mark ignored regions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from perception_common.stamps import stamp_ns
from perception_common.text.markdown import markdown_table, number_cell
from replay_ros.evaluation.detection.bags import (
    ArrayOptions,
    choose_classes_of,
    corners_of,
    pair_by_stamp,
    read_with_truth,
)
from replay_ros.evaluation.detection.truth import is_ignored_region
from replay_ros.evaluation.tracking.metrics import TrackedBoxes, TrackingScores, score_tracking
from yolc_ros.boxes import pairwise_iou
from yolc_ros.tracking.tracks import COAST

TRACKS, TRUE_TRACKS = "yolc/tracks", "ground_truth/tracks"  # default topics
TYPE = "yolc_ros/msg/TrackArray"
SCHEMA = "yolc_ros/tracking_result/1"
_SAME = 0.5  # IoU with an object that is not scored, or share in an ignored region, from which a box is left out


@dataclass(frozen=True)
class TrackingResult:
    """Scores of the tracks of a bag.

    images: number evaluated. classes: category of the truth -> classes of the network. camera_unknown: images whose
    camera motion is unknown. stamps_ns: of the images, to which the switches refer. model: "" where unknown. truth:
    file and topic. notes: caveats.
    """

    scores: TrackingScores
    images: int
    classes: Mapping[str, str]
    camera_unknown: int
    stamps_ns: tuple[int, ...]
    model: str
    truth: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Array:
    """A TrackArray as the detection evaluation reads messages; ids: parallel to detections."""

    header: Any
    detections: list[Any]
    ids: list[int]


def score_bag_tracks(
    bag: Path,
    truth_bag: Path | None = None,
    topic: str = TRACKS,
    truth_topic: str = TRUE_TRACKS,
    *,
    options: ArrayOptions,
) -> TrackingResult:
    """Compare the tracks of a replayed bag with the truth in it, or in `truth_bag`. Raises InputError."""
    tracks, truths = read_with_truth(bag, truth_bag, topic, truth_topic, TYPE)
    return score_track_arrays(tracks, truths, options, f"{truth_bag or bag}, {truth_topic}")


def score_track_arrays(
    tracks: Iterable[Any],
    truths: Iterable[Any],
    options: ArrayOptions,
    truth_name: str = TRUE_TRACKS,
) -> TrackingResult:
    """Compare TrackArray messages with those of the truth, associated by stamp. Raises InputError.

    Confirmed tracks count in the images where they are detected, and for COAST seconds after where they are predicted.
    What lies in an ignored region, or on an object that is not scored, counts neither as right nor as false.
    """
    messages = list(tracks)
    published = [_shown(message) for message in messages]
    true = sorted(map(_all_of, truths), key=lambda each: stamp_ns(each.header))
    pairs, unclear = pair_by_stamp(true, published, options)
    choice = choose_classes_of(true, published, options)
    scored = [
        _scored(truth, found or _Array(truth.header, [], []), choice.of_category, choice.of_class)
        for truth, found in pairs
    ]
    answered = sum(found is not None for _, found in pairs)
    notes = [f"{answered} of {len(true)} images with truth are answered (stamps within {options.tolerance_s:g} s)"]
    if unclear:
        notes.append(f"{unclear} images with truth share their stamp, and not all were answered: they are left out")
    if any(not message.trained for message in messages):
        notes.append("the network has random weights: these figures mean nothing")
    return TrackingResult(
        scores=score_tracking([truth for truth, _ in scored], [found for _, found in scored]),
        images=len(pairs),
        classes={category: choice.meaning(category) for category in choice.of_category},
        camera_unknown=sum(not message.camera_known for message in messages[1:]),
        stamps_ns=tuple(stamp_ns(truth.header) for truth, _ in pairs),
        model=messages[0].model if messages else "",
        truth=truth_name,
        notes=tuple(notes),
    )


def is_present(track: Any) -> bool:
    """Tell whether a Track message counts as an object that its image shows, as `Tracks.present`."""
    return bool(track.confirmed and track.unseen <= COAST)


def tracking_result_to_mapping(result: TrackingResult) -> dict[str, Any]:
    """Return the JSON content: the scores on its top level; one without a value is None."""
    values = asdict(result)
    stamps: tuple[int, ...] = values.pop("stamps_ns")
    scores: dict[str, Any] = values.pop("scores")
    switches = [each | {"stamp_ns": stamps[each["image"]]} for each in scores.pop("switches")]
    scores = {name: None if value != value else value for name, value in scores.items()} | {"switches": switches}
    return {"schema": SCHEMA, **scores, **values}


def tracking_lines(result: TrackingResult) -> Iterator[str]:
    """Yield the lines of the table and the notes."""
    scores = result.scores
    cells = [number_cell(value, 3) for value in (scores.hota, scores.idf1, scores.mota)]
    counts = [str(value) for value in (scores.id_switches, scores.objects, scores.boxes, scores.tracks)]
    names = ("HOTA", "IDF1", "MOTA", "id switches", "true objects", "true boxes", "tracks")
    yield from markdown_table([names, (*cells, *counts)])
    yield ""
    mapped = ", ".join(name if name == meant else f"{name} as {meant}" for name, meant in result.classes.items())
    yield f"- {result.images} images; {mapped}"
    yield f"- the motion of the camera is unknown in {result.camera_unknown} images after the first"
    for note in result.notes:
        yield f"- {note}"


def _all_of(message: Any) -> _Array:
    return _Array(
        message.header, [each.detection for each in message.tracks], [int(each.track_id) for each in message.tracks]
    )


def _shown(message: Any) -> _Array:
    """Return the tracks that count as present, see `Tracks.present`."""
    shown = [each for each in message.tracks if is_present(each)]
    return _Array(message.header, [each.detection for each in shown], [int(each.track_id) for each in shown])


def _scored(
    truth: _Array, found: _Array, of_category: Mapping[str, int], of_class: Mapping[str, int]
) -> tuple[TrackedBoxes, TrackedBoxes]:
    """Return what counts of an image: true objects and tracks of the evaluated classes."""
    true = _boxes(truth, of_category)
    tracked = _boxes(found, of_class)
    counts = np.array([each.score > 0 for each in truth.detections if each.class_name in of_category], bool)
    regions = corners_of([each for each in truth.detections if is_ignored_region(each.class_name)])
    ious = pairwise_iou(true.boxes, tracked.boxes)
    rows, columns = linear_sum_assignment(-ious)
    left_out = _covered(tracked.boxes, regions) > _SAME
    left_out[columns[(ious[rows, columns] >= _SAME) & ~counts[rows]]] = True
    left_out[columns[(ious[rows, columns] >= _SAME) & counts[rows]]] = False
    return true.select(counts), tracked.select(~left_out)


def _boxes(array: _Array, labels: Mapping[str, int]) -> TrackedBoxes:
    kept = [k for k, each in enumerate(array.detections) if each.class_name in labels]
    boxes: Sequence[Any] = [array.detections[k] for k in kept]
    ids = np.array([array.ids[k] for k in kept], np.int64)
    return TrackedBoxes(corners_of(boxes), ids, np.array([labels[each.class_name] for each in boxes], np.int64))


def _covered(boxes: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Return the largest share of each box (N, 4) that lies in one of the regions (M, 4); (N,)."""
    a, b = boxes[:, None], regions[None]
    sides = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0.0)
    areas = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-12)
    return np.asarray((sides.prod(axis=2) / areas[:, None]).max(axis=1, initial=0.0))
