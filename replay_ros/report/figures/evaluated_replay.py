"""A recorded replay with its evaluation, from which plots, tiles, problems and tables are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from replay_ros.evaluation.detection.bags import ArrayOptions, score_arrays
from replay_ros.evaluation.detection.results import DetectionResult
from replay_ros.evaluation.motion.edges import edge_of_message
from replay_ros.evaluation.motion.metrics import evaluate_motion
from replay_ros.evaluation.tracking.bags import TrackingResult, score_track_arrays
from replay_ros.report.content.images import KeyframePair, ReportFrame
from replay_ros.report.content.plots import TimingSection, TrajectorySection
from replay_ros.report.content.tracks import TracksSection
from replay_ros.report.figures.frames import class_names, report_frames
from replay_ros.report.figures.pairs import keyframe_pairs
from replay_ros.report.figures.timing import timing_section
from replay_ros.report.figures.tracks import track_boxes, tracks_section
from replay_ros.report.figures.trajectory import trajectory_section
from replay_ros.report.reading.recording import RecordedReplay
from replay_ros.report.reading.results import Results
from replay_ros.result.answers import NodeAnswers


@dataclass(frozen=True, eq=False)
class EvaluatedReplay:
    """A recording and its evaluation.

    detections: results of the detection evaluation. tracking: scores of the tracks; None without true ones. motion: a
    MotionResult as plain values; None without ground truth. untrained: models with random weights. answers: what became
    of each image at each node, as the replay counted it; empty where no result was given. oddities: sentences about the
    stamps of the images and about inputs left out. The others are as in ReportContent.
    """

    recording: RecordedReplay
    detections: tuple[DetectionResult, ...]
    tracking: TrackingResult | None
    motion: Mapping[str, Any] | None
    classes: tuple[str, ...]
    frames: tuple[ReportFrame, ...]
    pairs: tuple[KeyframePair, ...]
    trajectory: TrajectorySection | None
    tracks: TracksSection | None
    timing: TimingSection
    untrained: tuple[str, ...]
    answers: tuple[NodeAnswers, ...]
    oddities: tuple[str, ...]

    @property
    def is_detector_trained(self) -> bool:
        """Whether the boxes mean anything; boxes from random weights are not compared with the ground truth."""
        return _is_detector_trained(self.untrained)


def evaluate_replay(recording: RecordedReplay, results: Results) -> EvaluatedReplay:
    """Combine a recording with the given results, and evaluate it where they are missing."""
    untrained = _untrained_models(recording)
    motion = results.motion or _evaluate_motion(recording)
    tracking = _evaluate_tracks(recording, untrained)
    frames = report_frames(recording, compare_with_truth=_is_detector_trained(untrained))
    return EvaluatedReplay(
        recording=recording,
        detections=_evaluate_detections(recording, results, untrained),
        tracking=tracking,
        motion=motion,
        classes=class_names(recording),
        frames=tuple(replace(frame, tracks=track_boxes(recording, k)) for k, frame in enumerate(frames)),
        pairs=keyframe_pairs(recording, motion),
        trajectory=trajectory_section(recording, motion),
        tracks=tracks_section(recording, tracking),
        timing=timing_section(recording, results.timing, results.answers),
        untrained=untrained,
        answers=results.answers,
        oddities=results.oddities,
    )


def _evaluate_motion(recording: RecordedReplay) -> dict[str, Any] | None:
    """Compare the relative poses with the ground truth, if the bag has both."""
    edges = [edge_of_message(message) for message in recording.poses.values()]
    if recording.truth is None or not edges:
        return None
    return asdict(evaluate_motion(edges, recording.truth))


def _evaluate_detections(
    recording: RecordedReplay, results: Results, untrained: Sequence[str]
) -> tuple[DetectionResult, ...]:
    """Return the given results, else score the published detections if the bag has ground truth for them."""
    detections, truth = recording.detections, recording.true_detections
    if not _is_detector_trained(untrained):
        return ()
    if results.detections or not detections or not truth or not detections.keys() & truth.keys():
        return results.detections
    return (score_arrays(detections.values(), truth.values(), ArrayOptions(score_threshold=0.0)),)


def _evaluate_tracks(recording: RecordedReplay, untrained: Sequence[str]) -> TrackingResult | None:
    """Score the tracks if the bag has true ones of the same images."""
    tracks, truth = recording.tracks, recording.true_tracks
    if not tracks or not truth or not tracks.keys() & truth.keys() or not _is_detector_trained(untrained):
        return None
    return score_track_arrays(tracks.values(), truth.values(), ArrayOptions())


def _untrained_models(recording: RecordedReplay) -> tuple[str, ...]:
    messages = [*(recording.detections or {}).values(), *recording.correspondences]
    return tuple(sorted({message.model for message in messages if not message.trained}))


def _is_detector_trained(untrained: Sequence[str]) -> bool:
    return not any(name.startswith("yolc") for name in untrained)
