"""What an answers bag and the results beside it say, put together frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from loftr_ros.geometry.scale.sources import ScaleSource
from loftr_ros.geometry.two_view.estimation import Geometry
from perception_common.stamps import stamp_ns
from replay_ros.evaluation.detection.bags import ArrayOptions, score_arrays
from replay_ros.evaluation.detection.results import DetectionResult
from replay_ros.evaluation.motion.edges import edge_of_message
from replay_ros.evaluation.motion.metrics import evaluate_motion
from replay_ros.report.content import (
    Boxes,
    Drops,
    KeyframePair,
    MatchKind,
    ReportFrame,
    Stage,
    TimingSection,
    TrajectorySection,
)
from replay_ros.report.figures.motion import view_from_above
from replay_ros.report.reading import from_result
from replay_ros.report.reading.agreement import agree
from replay_ros.report.reading.from_result import Results
from replay_ros.report.reading.recording import RecordedReplay

DECISIONS = ("skipped", "tracked", "keyframe", "lost")  # MatchingStatus
SHOWN_MATCHES = 150  # of a pair: more hide the picture


@dataclass(frozen=True, eq=False)
class Findings:
    """A recording in the terms of the report. detections, motion: what was evaluated, the latter a
    MotionResult as plain values. untrained: models with random weights. refused: why images had no answer,
    with their number. Others as in ReportContent."""

    recording: RecordedReplay
    detections: tuple[DetectionResult, ...]
    motion: Mapping[str, Any] | None
    classes: tuple[str, ...]
    frames: tuple[ReportFrame, ...]
    pairs: tuple[KeyframePair, ...]
    trajectory: TrajectorySection | None
    timing: TimingSection
    untrained: tuple[str, ...]
    refused: Mapping[str, int]

    @property
    def is_detector_trained(self) -> bool:
        """False when the boxes mean nothing."""
        return _is_detector_trained(self.untrained)


def find(recording: RecordedReplay, results: Results) -> Findings:
    """Put a recording and what was evaluated together. Raises InputError for broken results."""
    frame_of = {stamp: index for index, stamp in enumerate(recording.stamps_ns)}
    untrained = _untrained(recording)
    classes, frames = _frames(recording, _is_detector_trained(untrained))
    motion = results.motion or _evaluated(recording)
    return Findings(
        recording=recording,
        detections=_detections(recording, results, untrained),
        motion=motion,
        classes=classes,
        frames=frames,
        pairs=_with_errors(_pairs(recording, frame_of), frames, motion),
        trajectory=_as_evaluated(view_from_above(recording), frame_of, motion),
        timing=_timing(recording, results, frame_of),
        untrained=untrained,
        refused=results.refused or {},
    )


def _evaluated(recording: RecordedReplay) -> dict[str, Any] | None:
    """Compare the relative poses with the truth, where the bag has both."""
    edges = [edge_of_message(message) for message in recording.poses.values()]
    if recording.truth is None or not edges:
        return None
    return asdict(evaluate_motion(edges, recording.truth))


def _detections(recording: RecordedReplay, results: Results, untrained: Sequence[str]) -> tuple[DetectionResult, ...]:
    """Take the results that are given, or score the detections as they were published where the bag has truth for them.

    Boxes of random weights are not judged.
    """
    answers, truth = recording.detections, recording.true_detections
    if not _is_detector_trained(untrained):
        return ()
    if results.detections or not answers or not truth or not answers.keys() & truth.keys():
        return results.detections
    return (score_arrays(answers.values(), truth.values(), ArrayOptions(score_threshold=0.0)),)


def _is_detector_trained(untrained: Sequence[str]) -> bool:
    return not any(name.startswith("yolc") for name in untrained)


def _untrained(recording: RecordedReplay) -> tuple[str, ...]:
    messages = [*(recording.detections or {}).values(), *recording.correspondences]
    return tuple(sorted({message.model for message in messages if not message.trained}))


def _frames(recording: RecordedReplay, judge: bool) -> tuple[tuple[str, ...], tuple[ReportFrame, ...]]:
    every = [*(recording.detections or {}).values(), *(recording.true_detections or {}).values()]
    names = {each.class_id: each.class_name for message in every for each in message.detections}
    classes = tuple(names.get(number, str(number)) for number in range(max(names, default=-1) + 1))
    number_of = {stamp: number for number, stamp in recording.keyframes.items()}
    frames = []
    for stamp in recording.stamps_ns:
        answer = (recording.detections or {}).get(stamp)
        truth = (recording.true_detections or {}).get(stamp)
        status = (recording.statuses or {}).get(stamp)
        found = None if answer is None else _boxes(answer, True)
        objects = None if truth is None else _boxes(truth, False)
        if judge and found is not None and objects is not None:
            found, objects = agree(found, objects)
        frames.append(
            ReportFrame(
                stamp_ns=stamp,
                size=recording.size,
                detections=found,
                regions=None
                if answer is None
                else np.array([[r.x0, r.y0, r.x1, r.y1] for r in answer.regions], np.float64).reshape(-1, 4),
                truth=objects,
                decision="" if status is None else DECISIONS[status.decision],
                reason="" if status is None else status.reason,
                keyframe=number_of.get(stamp),
            )
        )
    return classes, tuple(frames)


def _boxes(message: Any, with_scores: bool) -> Boxes:
    # True objects with score 0 are those that nobody scores, as ignored regions.
    found = [each for each in message.detections if with_scores or each.score > 0]
    centers = np.array([[each.center_x, each.center_y] for each in found], np.float64).reshape(-1, 2)
    sizes = np.array([[each.size_x, each.size_y] for each in found], np.float64).reshape(-1, 2)
    return Boxes(
        np.hstack([centers - sizes / 2, centers + sizes / 2]),
        np.array([each.class_id for each in found], int),
        np.array([each.score for each in found], np.float64) if with_scores else None,
    )


def _pairs(recording: RecordedReplay, frame_of: Mapping[int, int]) -> tuple[KeyframePair, ...]:
    pairs = []
    for message in recording.correspondences:
        stamps = [stamp_ns(keyframe.header) for keyframe in (message.older, message.newer)]
        if not all(stamp in frame_of for stamp in stamps):
            continue
        pose = recording.poses.get((message.older.id, message.newer.id))
        kinds = np.where(np.asarray(message.dynamic, bool), MatchKind.DYNAMIC, np.asarray(message.inlier, int))
        shown = thin(kinds, SHOWN_MATCHES)
        pairs.append(
            KeyframePair(
                older=frame_of[stamps[0]],
                newer=frame_of[stamps[1]],
                points0=np.stack([message.x0, message.y0], axis=1)[shown],
                points1=np.stack([message.x1, message.y1], axis=1)[shown],
                kinds=kinds[shown],
                counts={kind: int((kinds == kind).sum()) for kind in MatchKind},
                geometry="" if pose is None else Geometry(pose.geometry).name,
                reason="" if pose is None else pose.reason,
                scale="" if pose is None else ScaleSource(pose.scale_status).name,
                parallax_deg=None if pose is None else float(pose.parallax),
                residual_px=None if pose is None else float(pose.residual),
            )
        )
    return tuple(pairs)


def thin(kinds: np.ndarray, limit: int) -> np.ndarray:
    """Return which of N matches are shown, at most about `limit`: every kind keeps its share, but a few of each."""
    kept = []
    for kind in np.unique(kinds):
        members = np.flatnonzero(kinds == kind)
        count = min(len(members), max(round(limit * len(members) / len(kinds)), 20))
        kept.append(members[np.linspace(0, len(members) - 1, count).round().astype(int)])
    return np.sort(np.concatenate(kept)) if kept else np.zeros(0, int)


def _with_errors(
    pairs: Sequence[KeyframePair], frames: Sequence[ReportFrame], motion: Mapping[str, Any] | None
) -> tuple[KeyframePair, ...]:
    poses = (motion or {}).get("poses") or {}
    known = {(each["older_ns"], each["newer_ns"]): each for each in poses.get("details", ())}
    found = []
    for pair in pairs:
        edge = known.get((frames[pair.older].stamp_ns, frames[pair.newer].stamp_ns))
        if edge is not None:
            pair = replace(pair, rotation_error_deg=edge["rotation_deg"], direction_error_deg=edge["direction_deg"])
        found.append(pair)
    return tuple(found)


def _as_evaluated(
    trajectory: TrajectorySection | None, frame_of: Mapping[int, int], motion: Mapping[str, Any] | None
) -> TrajectorySection | None:
    """Show the path where the evaluation has laid it, so that its figures and the picture agree."""
    path = (motion or {}).get("trajectory")
    if trajectory is None or path is None:
        return trajectory
    at = {frame_of[stamp]: k for k, stamp in enumerate(path["stamps_ns"]) if stamp in frame_of}
    if not at or not all(frame in at for frame in trajectory.frames.tolist()):
        return trajectory
    order = [at[frame] for frame in trajectory.frames.tolist()]
    true = np.array(path["true"])[:, :2]
    return replace(
        trajectory,
        about=f"Laid on the truth by evo ({path['alignment']}, scale {path['scale']:.3g}).",
        estimated=np.array(path["estimated"])[order, :2],
        errors=np.array(path["errors_m"])[order],
        true_frames=np.array(sorted(at)) if trajectory.true is None else trajectory.true_frames,
        true=true[[at[frame] for frame in sorted(at)]] if trajectory.true is None else trajectory.true,
    )


def _timing(recording: RecordedReplay, results: Results, frame_of: Mapping[int, int]) -> TimingSection:
    """Return what was measured apart, filled up with what the answers themselves say."""
    measured = from_result.timing(results.timing, frame_of)
    answers = (
        ("Detection", "yolc_node", recording.detections, "inference_seconds"),
        ("Matching", "loftr_node", recording.statuses, "matching_seconds"),
    )
    stages, drops = [], []
    for stage, node, messages, attribute in answers:
        if messages is not None:
            known = {frame_of[at]: getattr(message, attribute) for at, message in messages.items() if at in frame_of}
            stages.append(Stage(stage, np.array(list(known), int), np.array(list(known.values()), np.float64)))
            lost = [frame for stamp, frame in frame_of.items() if stamp not in messages]
            drops.append(Drops(node, len(frame_of), np.array(lost, int)))
    return TimingSection(measured.stages or tuple(stages), measured.drops or tuple(drops), measured.resources)
