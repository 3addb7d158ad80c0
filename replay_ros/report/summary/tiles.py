"""The key figures at the top of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from perception_common.text.markdown import number_cell
from replay_ros.evaluation.tracking.bags import TrackingResult
from replay_ros.report.content.images import KeyframePair, MatchKind
from replay_ros.report.content.plots import TimingSection, TrajectorySection
from replay_ros.report.content.text import Tile, Verdict
from replay_ros.report.figures.evaluated_replay import EvaluatedReplay
from replay_ros.report.reading.recording import RecordedReplay
from replay_ros.report.summary.frames_to_check import WRONG_DEG

MAX_LOSS = 0.05  # share of images without a result above which the tile is red; the default of replay --max-loss
GOOD_SHARE, DOUBTFUL_SHARE = 0.9, 0.6  # of relative poses, empirical


def tiles(replay: EvaluatedReplay) -> tuple[Tile, ...]:
    """Return the tiles for which the replay has data."""
    return (
        _image_tile(replay.recording),
        *_loss_tile(replay.timing),
        *_detection_tiles(replay),
        *_tracking_tile(replay.tracking),
        *_motion_tiles(replay.pairs, replay.motion),
        *_trajectory_tile(replay.trajectory, replay.motion),
        *_covariance_tile(replay.motion),
        *_latency_tiles(replay.timing),
    )


def _image_tile(recording: RecordedReplay) -> Tile:
    stamps = [stamp for stamp in recording.stamps_ns if stamp] or [0]  # 0: no stamp
    seconds = (max(stamps) - min(stamps)) / 1e9
    width, height = recording.size
    return Tile(
        "Images", str(len(recording.stamps_ns)), f"{seconds:.1f} s of {recording.image_topic}, {width} x {height}"
    )


def _loss_tile(timing: TimingSection) -> Iterator[Tile]:
    if not timing.drops:
        return
    most_lost = max(timing.drops, key=lambda drops: len(drops.lost))
    share = len(most_lost.lost) / max(most_lost.images, 1)
    verdict: Verdict = "good" if share == 0 else "doubtful" if share <= MAX_LOSS else "bad"
    per_node = ", ".join(
        f"{drops.images - len(drops.lost)} by {drops.node}" + (f" ({drops.refused} refused)" if drops.refused else "")
        for drops in timing.drops
    )
    yield Tile("Processed", f"{100 * (1 - share):.0f} %", f"{per_node}, of {most_lost.images}", verdict)


def _tracking_tile(result: TrackingResult | None) -> Iterator[Tile]:
    if result is None:
        return
    scores = result.scores
    yield Tile("IDF1", f"{scores.idf1:.2f}", f"{scores.tracks} tracks, {scores.id_switches} id switches")


def _detection_tiles(replay: EvaluatedReplay) -> Iterator[Tile]:
    if not replay.is_detector_trained:
        yield Tile("Detection", "untrained", "random weights: the boxes are meaningless", "bad")
        return
    for result in replay.detections[:2]:
        if result.scores.ap50 is not None:
            detail = f"{result.look}, {result.protocol}; AP {number_cell(result.scores.ap, 2)}"
            yield Tile("AP50", f"{result.scores.ap50:.2f}", detail)
    processed = [frame for frame in replay.frames if frame.detections is not None]
    count = sum(len(frame.detections) for frame in processed if frame.detections)
    objects = sum(len(frame.truth) for frame in processed if frame.truth and frame.truth.matched is not None)
    if objects:
        hits = objects - sum(frame.missed or 0 for frame in processed)
        false = sum(frame.false or 0 for frame in processed)
        correct = f"; {100 * (count - false) / count:.0f} % of the detections are correct" if count else ""
        yield Tile("Objects found", f"{100 * hits / objects:.0f} %", f"{hits} of {objects}{correct}")
    elif processed:
        regions = sum(len(frame.regions) for frame in processed if frame.regions is not None)
        yield Tile("Objects", str(count), f"{count / len(processed):.1f} per image, {regions} cluster crops")


def _motion_tiles(pairs: Sequence[KeyframePair], motion: Mapping[str, Any] | None) -> Iterator[Tile]:
    posed = [pair for pair in pairs if pair.geometry]
    if not posed:
        return
    if any(pair.rotation_error_deg is not None for pair in posed):
        evaluated = [pair for pair in posed if pair.rotation_error_deg is not None or pair.geometry == "FAILED"]
        good = sum(
            pair.geometry != "FAILED"
            and max(pair.rotation_error_deg or 0.0, pair.direction_error_deg or 0.0) <= WRONG_DEG
            for pair in evaluated
        )
        poses = (motion or {}).get("poses") or {}
        detail = f"{good} of {len(evaluated)} relative poses"
        detail += f"; AUC@5 {poses['auc']['5']:.2f}" if poses.get("auc") else ""
        share = good / len(evaluated)
        yield Tile(f"Within {WRONG_DEG:g}°", f"{100 * share:.0f} %", detail, _verdict_of_share(share))
    else:
        estimated = [pair for pair in posed if pair.geometry != "FAILED"]
        share = len(estimated) / len(posed)
        detail = f"{len(estimated)} of {len(posed)} pairs"
        yield Tile("Poses estimated", f"{100 * share:.0f} %", detail, _verdict_of_share(share))
    inliers = [pair.counts[MatchKind.INLIER] for pair in posed]
    yield Tile("Inliers", f"{np.median(inliers):.0f}", f"median of {len(posed)} keyframe pairs")


def _trajectory_tile(trajectory: TrajectorySection | None, motion: Mapping[str, Any] | None) -> Iterator[Tile]:
    if trajectory is None or trajectory.errors is None or trajectory.true is None:
        return
    evaluated = (motion or {}).get("trajectory")
    errors = trajectory.errors[np.isfinite(trajectory.errors)]
    rmse = evaluated["ate_m"]["rmse"] if evaluated else float(np.sqrt(np.mean(errors**2)))
    length = float(np.linalg.norm(np.diff(trajectory.true, axis=0), axis=1).sum())
    length = evaluated["length_m"] if evaluated else length
    detail = f"RMS distance to the ground truth, {100 * rmse / length:.1f} % of {length:.0f} m" if length else "RMS"
    yield Tile("Trajectory error", f"{rmse:.2f} m", detail)


def _covariance_tile(motion: Mapping[str, Any] | None) -> Iterator[Tile]:
    calibration = (motion or {}).get("calibration")
    if calibration:
        low, high = calibration["expected"]
        nees = calibration["nees_per_dof"]
        verdict: Verdict = "good" if low <= nees <= high else "doubtful" if nees < low else "bad"
        value = "consistent" if verdict == "good" else "too large" if nees < low else "too small"
        detail = f"NEES {nees:.2f} per degree of freedom, consistent from {low:.2f} to {high:.2f}"
        yield Tile("Covariance", value, detail, verdict)


def _latency_tiles(timing: TimingSection) -> Iterator[Tile]:
    """Yield the three stages with the largest medians, in the order of the stages."""
    measured = [stage for stage in timing.stages if len(stage.seconds)]
    longest = sorted(measured, key=lambda stage: -np.median(stage.seconds))[:3]
    for stage in measured:
        if stage in longest and np.median(stage.seconds) > 1e-3:
            p50, p95, p99 = 1e3 * np.percentile(stage.seconds, [50, 95, 99])
            yield Tile(f"{stage.name}, median", f"{p50:.0f} ms", f"p95 {p95:.0f} ms, p99 {p99:.0f} ms")


def _verdict_of_share(share: float) -> Verdict:
    return "good" if share >= GOOD_SHARE else "doubtful" if share >= DOUBTFUL_SHARE else "bad"
