"""The frames of the report: boxes, ground truth and keyframe decision of each image."""

from __future__ import annotations

from typing import Any

import numpy as np

from loftr_ros.keyframes.policy import Outcome
from replay_ros.report.content.images import Boxes, ReportFrame
from replay_ros.report.figures.box_matching import match_boxes
from replay_ros.report.reading.recording import RecordedReplay


def class_names(recording: RecordedReplay) -> tuple[str, ...]:
    """Return the class names by class id, from detections and ground truth; the id itself where a name is missing."""
    messages = [*(recording.detections or {}).values(), *(recording.true_detections or {}).values()]
    names = {each.class_id: each.class_name for message in messages for each in message.detections}
    return tuple(names.get(number, str(number)) for number in range(max(names, default=-1) + 1))


def report_frames(recording: RecordedReplay, compare_with_truth: bool) -> tuple[ReportFrame, ...]:
    """Return every image in order. compare_with_truth: match the detections with the ground truth."""
    keyframe_of = {position: number for number, position in recording.keyframes.items()}
    return tuple(
        _report_frame(recording, position, keyframe_of.get(position), compare_with_truth)
        for position in range(len(recording.stamps_ns))
    )


def _report_frame(
    recording: RecordedReplay, position: int, keyframe: int | None, compare_with_truth: bool
) -> ReportFrame:
    detected = (recording.detections or {}).get(position)
    true = (recording.true_detections or {}).get(position)
    status = (recording.statuses or {}).get(position)
    detections = None if detected is None else _detected_boxes(detected)
    truth = None if true is None else _true_boxes(true)
    if compare_with_truth and detections is not None and truth is not None:
        detections, truth = match_boxes(detections, truth)
    return ReportFrame(
        stamp_ns=recording.stamps_ns[position],
        size=recording.sizes[position],
        detections=detections,
        regions=None if detected is None else _region_corners(detected),
        truth=truth,
        decision="" if status is None else Outcome(status.decision).name.lower(),
        reason="" if status is None else status.reason,
        keyframe=keyframe,
    )


def _detected_boxes(message: Any) -> Boxes:
    return Boxes(
        xyxy=box_corners(message.detections),
        labels=np.array([each.class_id for each in message.detections], int),
        scores=np.array([each.score for each in message.detections], np.float64),
    )


def _true_boxes(message: Any) -> Boxes:
    """Return the ground-truth objects; those with score 0 are ignored in the evaluation, such as ignored regions."""
    counted = [each for each in message.detections if each.score > 0]
    return Boxes(xyxy=box_corners(counted), labels=np.array([each.class_id for each in counted], int))


def box_corners(detections: list[Any]) -> np.ndarray:
    """Return (N, 4) xyxy of Detection messages, pixels."""
    centers = np.array([[each.center_x, each.center_y] for each in detections], np.float64).reshape(-1, 2)
    sizes = np.array([[each.size_x, each.size_y] for each in detections], np.float64).reshape(-1, 2)
    return np.hstack([centers - sizes / 2, centers + sizes / 2])


def _region_corners(message: Any) -> np.ndarray:
    return np.array([[r.x0, r.y0, r.x1, r.y1] for r in message.regions], np.float64).reshape(-1, 4)
