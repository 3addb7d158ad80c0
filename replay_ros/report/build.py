"""Builds the content of a report from the output bag of a replay and result files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from replay_ros.bags.reader import open_bag
from replay_ros.report.content.report import ReportContent
from replay_ros.report.figures.error_series import errors_over_time
from replay_ros.report.figures.evaluated_replay import EvaluatedReplay, evaluate_replay
from replay_ros.report.figures.ground_map import ground_map
from replay_ros.report.figures.precision_recall import precision_recall_curves
from replay_ros.report.pictures import MAX_PICTURES, choose_frames, describe_choice, read_pictures
from replay_ros.report.reading.recording import RecordedReplay, read_recording
from replay_ros.report.reading.results import Results
from replay_ros.report.summary.detection_tables import detection_tables
from replay_ros.report.summary.frames_to_check import frames_to_check
from replay_ros.report.summary.motion_table import motion_tables
from replay_ros.report.summary.place_table import place_tables
from replay_ros.report.summary.problems import problems
from replay_ros.report.summary.provenance_tables import bag_tables, provenance_tables
from replay_ros.report.summary.tiles import tiles
from replay_ros.report.summary.tracking_table import tracking_tables


def read_content(
    path: Path,
    results: Results | None = None,
    image_topic: str | None = None,
    truth: str | None = None,
    pictures: int = MAX_PICTURES,
) -> ReportContent:
    """Read a bag that `replay` wrote. Raises InputError when bag or results cannot be used.

    image_topic: needed when the bag has several. truth: topic or TUM file of the camera poses; None: the ground-truth
    topic of the bag. pictures: largest number of frames with a picture.
    """
    results = results or Results()
    with open_bag(path) as bag:
        recording = read_recording(bag, image_topic, truth)
        content = _content_without_pictures(path, evaluate_replay(recording, results), results.provenance)
        keyframes = [index for index, frame in enumerate(content.frames) if frame.keyframe is not None]
        to_check = [each.frame for each in content.frames_to_check]
        chosen = choose_frames(len(content.frames), to_check, keyframes, pictures)
        picture_of = read_pictures(bag, recording.image_topic, set(chosen))
    frames = [replace(frame, picture=picture_of.get(position)) for position, frame in enumerate(content.frames)]
    return replace(content, frames=tuple(frames), shown=describe_choice(len(chosen), len(frames)))


def _content_without_pictures(
    path: Path, replay: EvaluatedReplay, provenance: Mapping[str, Any] | None
) -> ReportContent:
    return ReportContent(
        title=path.name,
        subtitle=_subtitle(replay.recording),
        frames=replay.frames,
        classes=replay.classes,
        trained=not replay.untrained,
        tiles=tiles(replay),
        problems=problems(replay),
        frames_to_check=frames_to_check(replay),
        pairs=replay.pairs,
        tracks=replay.tracks,
        trajectory=replay.trajectory,
        ground_map=ground_map(replay.recording),
        errors=errors_over_time(replay),
        curves=precision_recall_curves(replay.detections),
        timing=replay.timing,
        tables=(
            *detection_tables(replay.detections),
            *tracking_tables(replay.tracking),
            *motion_tables(replay.motion),
            *place_tables(replay.recording),
        ),
        provenance=(*provenance_tables(provenance), *bag_tables(path, replay.recording)),
    )


def _subtitle(recording: RecordedReplay) -> str:
    models = {
        *(message.model for message in (recording.detections or {}).values()),
        *(message.model for message in recording.correspondences),
    }
    return f"{' and '.join(sorted(models)) or 'no results'} on {recording.image_topic}"
