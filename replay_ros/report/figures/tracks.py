"""Tracked objects of a recording: boxes with ids and trails of each frame, and the timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from replay_ros.evaluation.tracking.bags import TrackingResult, is_present
from replay_ros.report.content.tracks import TrackBoxes, TrackLine, TracksSection
from replay_ros.report.figures.frames import box_corners
from replay_ros.report.reading.recording import RecordedReplay

MAX_LINES = 200  # of the timeline: the longest tracks
_LOST = 3  # Track.msg
_BOX_POINTS = 8  # of a box in yolc/image_markers, which come before those of the trails


def track_boxes(recording: RecordedReplay, position: int) -> TrackBoxes | None:
    """Return the tracks of an image; None where there is no message."""
    message = (recording.tracks or {}).get(position)
    if message is None:
        return None
    present = [each for each in message.tracks if is_present(each)]
    return TrackBoxes(
        xyxy=box_corners([each.detection for each in present]),
        ids=np.array([each.track_id for each in present], int),
        labels=np.array([each.detection.class_id for each in present], int),
        lost=np.array([each.status == _LOST for each in present], bool),
        trails=_trail_lines(recording, position),
    )


def tracks_section(recording: RecordedReplay, result: TrackingResult | None) -> TracksSection | None:
    """Return the timeline of the confirmed tracks; None without tracks. result: against ground truth, if any."""
    frames: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for position, message in sorted((recording.tracks or {}).items()):
        for each in message.tracks:
            if each.confirmed and each.status != _LOST:
                frames.setdefault(int(each.track_id), []).append(position)
                names[int(each.track_id)] = each.detection.class_name
    if not frames:
        return None
    longest = sorted(frames, key=lambda number: (-len(frames[number]), number))[:MAX_LINES]
    lines = [
        TrackLine(number, names[number], np.array(frames[number], int))
        for number in sorted(longest, key=lambda number: (frames[number][0], number))
    ]
    switches = _switches(recording, result, set(longest))
    about = f"{len(frames)} confirmed tracks" + (f", the longest {MAX_LINES} drawn" if len(frames) > MAX_LINES else "")
    if result is not None:
        about += f"; {result.scores.id_switches} id switches against ground truth"
    return TracksSection(
        lines=tuple(lines),
        switch_frames=np.array([frame for frame, _ in switches], int),
        switch_ids=np.array([number for _, number in switches], int),
        about=f"{about}.",
    )


def _switches(recording: RecordedReplay, result: TrackingResult | None, drawn: set[int]) -> Sequence[tuple[int, int]]:
    """Return frame and new id of each switch to a track that is drawn."""
    if result is None:
        return []
    position_of = recording.position_of_stamp
    found = [(position_of.get(result.stamps_ns[each.image]), each.after) for each in result.scores.switches]
    return [(frame, number) for frame, number in found if frame is not None and number in drawn]


def _trail_lines(recording: RecordedReplay, position: int) -> np.ndarray:
    """Return the lines of the trails, (L, 4), which yolc/image_markers has after those of the boxes."""
    marker: Any | None = (recording.markers or {}).get(position)
    detected = (recording.detections or {}).get(position)
    if marker is None or detected is None:
        return np.zeros((0, 4))
    ends = [(point.x, point.y) for point in marker.points[_BOX_POINTS * len(detected.detections) :]]
    return np.array(ends, np.float64).reshape(-1, 4)
