"""The top of the report: figures as tiles, and what went wrong in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from replay_ros.report.content import (
    KeyframePair,
    MatchKind,
    ReportedProblem,
    Tile,
    TimingSection,
    TrajectorySection,
    Verdict,
)
from replay_ros.report.figures.frames_to_check import WRONG_DEG
from replay_ros.report.reading.findings import Findings
from replay_ros.report.reading.recording import RecordedReplay


def tiles(found: Findings) -> tuple[Tile, ...]:
    """Return the figures that the replay has."""
    return (
        _images(found.recording),
        *_answers(found.timing),
        *_detection(found),
        *_motion(found.pairs, found.motion),
        *_trajectory(found.trajectory, found.motion),
        *_calibration(found.motion),
        *_latency(found.timing),
    )


def _images(recording: RecordedReplay) -> Tile:
    seconds = (max(recording.stamps_ns) - min(recording.stamps_ns)) / 1e9 if recording.stamps_ns else 0.0
    width, height = recording.size
    return Tile(
        "Images", str(len(recording.stamps_ns)), f"{seconds:.1f} s of {recording.image_topic}, {width} x {height}"
    )


def _answers(timing: TimingSection) -> Iterator[Tile]:
    if not timing.drops:
        return
    worst = max(timing.drops, key=lambda drops: len(drops.lost))
    share = len(worst.lost) / max(worst.images, 1)
    verdict: Verdict = "good" if share == 0 else "doubtful" if share <= 0.05 else "bad"
    each = ", ".join(f"{drops.images - len(drops.lost)} by {drops.node}" for drops in timing.drops)
    yield Tile("Answered", f"{100 * (1 - share):.0f} %", f"{each}, of {worst.images}", verdict)


def _detection(found: Findings) -> Iterator[Tile]:
    if not found.is_detector_trained:
        yield Tile("Detection", "untrained", "random weights: the boxes mean nothing", "bad")
        return
    for result in found.detections[:2]:
        if result.scores.ap50 is not None:
            about = f"{result.look}, {result.protocol}; AP {_share(result.scores.ap)}"
            yield Tile("AP50", f"{result.scores.ap50:.2f}", about)
    answered = [frame for frame in found.frames if frame.detections is not None]
    count = sum(len(frame.detections) for frame in answered if frame.detections)
    objects = sum(len(frame.truth) for frame in answered if frame.truth and frame.truth.agrees is not None)
    if objects:
        hits = objects - sum(frame.missed or 0 for frame in answered)
        false = sum(frame.false or 0 for frame in answered)
        right = f"; {100 * (count - false) / count:.0f} % of the detections are right" if count else ""
        yield Tile("Objects found", f"{100 * hits / objects:.0f} %", f"{hits} of {objects}{right}")
    elif answered:
        regions = sum(len(frame.regions) for frame in answered if frame.regions is not None)
        yield Tile("Objects", str(count), f"{count / len(answered):.1f} an image, {regions} clusters looked at again")


def _motion(pairs: Sequence[KeyframePair], motion: Mapping[str, Any] | None) -> Iterator[Tile]:
    posed = [pair for pair in pairs if pair.geometry]
    if not posed:
        return
    judged = [pair for pair in posed if pair.rotation_error_deg is not None or pair.geometry == "FAILED"]
    found = [pair for pair in posed if pair.geometry != "FAILED"]
    if any(pair.rotation_error_deg is not None for pair in posed):
        good = sum(
            pair.geometry != "FAILED"
            and max(pair.rotation_error_deg or 0.0, pair.direction_error_deg or 0.0) <= WRONG_DEG
            for pair in judged
        )
        auc = (motion or {}).get("poses") or {}
        detail = f"{good} of {len(judged)} relative poses"
        detail += f"; AUC@5 {auc['auc']['5']:.2f}" if auc.get("auc") else ""
        share = good / len(judged)
        yield Tile(f"Within {WRONG_DEG:g}°", f"{100 * share:.0f} %", detail, _graded(share))
    else:
        share = len(found) / len(posed)
        yield Tile("Motion found", f"{100 * share:.0f} %", f"{len(found)} of {len(posed)} pairs", _graded(share))
    inliers = [pair.counts[MatchKind.INLIER] for pair in posed]
    yield Tile("Inliers", f"{np.median(inliers):.0f}", f"median of {len(posed)} keyframe pairs")


def _trajectory(trajectory: TrajectorySection | None, motion: Mapping[str, Any] | None) -> Iterator[Tile]:
    if trajectory is None or trajectory.errors is None or trajectory.true is None:
        return
    evaluated = (motion or {}).get("trajectory")
    errors = trajectory.errors[np.isfinite(trajectory.errors)]
    rmse = evaluated["ate_m"]["rmse"] if evaluated else float(np.sqrt(np.mean(errors**2)))
    length = float(np.linalg.norm(np.diff(trajectory.true, axis=0), axis=1).sum())
    length = evaluated["length_m"] if evaluated else length
    detail = f"rms distance to the truth, {100 * rmse / length:.1f} % of {length:.0f} m" if length else "rms"
    yield Tile("TrajectorySection error", f"{rmse:.2f} m", detail)


def _calibration(motion: Mapping[str, Any] | None) -> Iterator[Tile]:
    calibration = (motion or {}).get("calibration")
    if calibration:
        low, high = calibration["expected"]
        value = calibration["nees_per_dof"]
        verdict: Verdict = "good" if low <= value <= high else "doubtful" if value < low else "bad"
        said = "honest" if verdict == "good" else "too modest" if value < low else "too confident"
        yield Tile("Covariance", said, f"NEES {value:.2f} a degree of freedom, honest {low:.2f} to {high:.2f}", verdict)


def _latency(timing: TimingSection) -> Iterator[Tile]:
    measured = [stage for stage in timing.stages if len(stage.seconds)]
    longest = sorted(measured, key=lambda stage: -np.median(stage.seconds))[:3]
    for stage in measured:
        if stage in longest and np.median(stage.seconds) > 1e-3:
            p50, p95, p99 = 1e3 * np.percentile(stage.seconds, [50, 95, 99])
            yield Tile(f"{stage.name}, median", f"{p50:.0f} ms", f"p95 {p95:.0f} ms, p99 {p99:.0f} ms")


def problems(found: Findings) -> tuple[ReportedProblem, ...]:
    """Return what went wrong, the worst first."""
    return (
        *(
            ReportedProblem(f"{model} ran with random weights: its answers mean nothing.", "bad")
            for model in found.untrained
        ),
        *_lost_answers(found.timing),
        *_lost_motion(found),
        *_dishonest(found.motion),
        *_complaints(found.recording),
        *_gaps(found),
    )


def _lost_answers(timing: TimingSection) -> Iterator[ReportedProblem]:
    for drops in timing.drops:
        if len(drops.lost):
            text = f"{drops.node} did not answer {len(drops.lost)} of {drops.images} images."
            yield ReportedProblem(text, "bad", int(drops.lost[0]))


def _lost_motion(found: Findings) -> Iterator[ReportedProblem]:
    failed = [pair for pair in found.pairs if pair.geometry == "FAILED"]
    if failed:
        text = f"No motion was found for {len(failed)} of {len(found.pairs)} keyframe pairs."
        yield ReportedProblem(text, "bad", failed[0].newer)
    lost = [index for index, frame in enumerate(found.frames) if frame.decision == "lost"]
    for reason, count in found.refused.items():
        yield ReportedProblem(f"{count} images were refused: {reason}.".replace("..", "."), "bad")
    if lost:
        yield ReportedProblem(f"The track was lost at {len(lost)} of {len(found.frames)} images.", "bad", lost[0])


def _dishonest(motion: Mapping[str, Any] | None) -> Iterator[ReportedProblem]:
    calibration = (motion or {}).get("calibration")
    if calibration and calibration["nees_per_dof"] > calibration["expected"][1]:
        much = calibration["nees_per_dof"]
        yield ReportedProblem(
            f"The covariances are too confident: squared errors are {much:.1f} times what they promise."
        )


def _complaints(recording: RecordedReplay) -> Iterator[ReportedProblem]:
    for name, state in recording.nodes.items():
        said = [text.rstrip(".") for _, text in state.complaints if "random weights" not in text]
        yield from (ReportedProblem(f"{name.lstrip('/')} said: {text}.") for text in said[:5])


def _gaps(found: Findings) -> Iterator[ReportedProblem]:
    if found.pairs and all(pair.scale in ("", "UNKNOWN") for pair in found.pairs):
        yield ReportedProblem("The scale of the motion is unknown: lengths are not in metres.", "plain")
    if found.recording.true_detections is None and not found.motion:
        yield ReportedProblem("The bag holds no truth: nothing here says how right the answers are.", "plain")


def _graded(share: float) -> Verdict:
    return "good" if share >= 0.9 else "doubtful" if share >= 0.6 else "bad"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
