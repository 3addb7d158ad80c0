"""Writes a report as a recording for the Rerun viewer (https://rerun.io); needs the Python package rerun-sdk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perception_common.atomic_file import make_folder
from perception_common.errors import InputError
from replay_ros.report.content.images import Boxes, KeyframePair, MatchKind, ReportFrame
from replay_ros.report.content.plots import TrajectorySection
from replay_ros.report.content.report import ReportContent

TIMELINE, POSITION = "image", "position"
# Colours as in page/report.css.
_COLORS = {MatchKind.OUTLIER: (213, 94, 0), MatchKind.INLIER: (86, 180, 233), MatchKind.DYNAMIC: (0, 199, 149)}
_DETECTION, _TRUTH, _REGION = (240, 228, 66), (255, 255, 255), (230, 159, 0)


def write_rerun(content: ReportContent, path: Path) -> None:
    """Write pictures, boxes, matches, trajectory and errors. Raises InputError when rerun-sdk is missing."""
    try:
        import rerun as rr
    except ImportError as error:
        raise InputError("--rerun needs the Rerun SDK: pip install rerun-sdk") from error
    make_folder(path.parent)
    recording = rr.RecordingStream("yolc_ros", recording_id=content.title)
    recording.save(str(path))
    for index, frame in enumerate(content.frames):
        recording.set_time(TIMELINE, timestamp=np.datetime64(frame.stamp_ns, "ns"))
        recording.set_time(POSITION, sequence=index)  # stamps may repeat
        _log_frame(rr, recording, frame, content.classes)
        for pair in content.pairs:
            if pair.newer == index:
                _log_matches(rr, recording, pair)
        for series in content.errors:
            for value in series.values[series.frames == index].tolist():
                recording.log(f"errors/{_entity(series.name)}", rr.Scalars(value))
        for stage in content.timing.stages:
            for seconds in stage.seconds[stage.frames == index].tolist():
                recording.log(f"milliseconds/{_entity(stage.name)}", rr.Scalars(1e3 * seconds))
    if content.trajectory is not None:
        _log_trajectory(rr, recording, content.trajectory)
    recording.flush()


def _entity(name: str) -> str:
    """Return a name as part of an entity path; blanks are not allowed there."""
    return name.replace(" ", "_")


def _log_frame(rr: Any, recording: Any, frame: ReportFrame, classes: Sequence[str]) -> None:
    if frame.picture is not None:
        recording.log("camera", rr.EncodedImage(contents=frame.picture, media_type="image/jpeg"))
    recording.log("camera/matches", rr.Clear(recursive=True))
    for name, boxes, color in (("detections", frame.detections, _DETECTION), ("truth", frame.truth, _TRUTH)):
        if boxes is not None:
            recording.log(f"camera/{name}", _boxes(rr, boxes, classes, color))
    if frame.regions is not None:
        recording.log(
            "camera/regions", rr.Boxes2D(array=frame.regions, array_format=rr.Box2DFormat.XYXY, colors=_REGION)
        )


def _boxes(rr: Any, boxes: Boxes, classes: Sequence[str], color: tuple[int, int, int]) -> Any:
    labels = [classes[label] for label in boxes.labels.tolist()]
    if boxes.scores is not None:
        labels = [f"{label} {score:.2f}" for label, score in zip(labels, boxes.scores.tolist(), strict=True)]
    return rr.Boxes2D(
        array=boxes.xyxy, array_format=rr.Box2DFormat.XYXY, labels=labels, colors=color, show_labels=False
    )


def _log_matches(rr: Any, recording: Any, pair: KeyframePair) -> None:
    for kind, color in _COLORS.items():
        lines = np.stack([pair.points0, pair.points1], axis=1)[pair.kinds == kind]
        if len(lines):
            recording.log(f"camera/matches/{kind.name.lower()}", rr.LineStrips2D(lines, colors=color))


def _log_trajectory(rr: Any, recording: Any, path: TrajectorySection) -> None:
    segments = np.split(path.estimated, np.flatnonzero(path.starts)[1:])
    recording.log("trajectory/estimated", rr.LineStrips2D(segments, colors=(86, 180, 233)), static=True)
    if path.true is not None:
        recording.log("trajectory/truth", rr.LineStrips2D([path.true], colors=(150, 150, 150)), static=True)
