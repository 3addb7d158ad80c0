"""Which frames to inspect first, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from replay_ros.report.content.images import KeyframePair, ReportFrame
from replay_ros.report.content.plots import TimingSection
from replay_ros.report.content.text import FrameToCheck
from replay_ros.report.figures.evaluated_replay import EvaluatedReplay

WRONG_DEG = 5.0  # pose error from which a relative pose counts as failed, as in the papers' AUC@5
SLOW = 2.0  # a stage is slow from this multiple of its median on; empirical
NOTICEABLE = 0.2  # and only if the excess is this share of the median time per image; empirical
MANY = 1 / 3  # share of missed objects and false detections that makes a frame worth checking; empirical
MAX_FRAMES = 12


@dataclass(frozen=True)
class _Reason:
    """Why a frame should be checked. weight: how urgent it is; the weights of a frame add up. Empirical."""

    frame: int
    weight: float
    text: str


def frames_to_check(replay: EvaluatedReplay, limit: int = MAX_FRAMES) -> tuple[FrameToCheck, ...]:
    """Return at most `limit` frames, the most urgent first. Boxes from random weights are not considered."""
    found = [
        *_motion_reasons(replay.frames, replay.pairs),
        *_timing_reasons(replay.timing),
        *_largest_values(replay.pairs, replay.timing),
    ]
    if replay.is_detector_trained:
        found += _detection_reasons(replay.frames, replay.classes)
    reasons: dict[int, list[_Reason]] = {}
    for reason in found:
        reasons.setdefault(reason.frame, []).append(reason)
    ranked = sorted(reasons.items(), key=lambda item: (-sum(reason.weight for reason in item[1]), item[0]))
    return tuple(
        FrameToCheck(frame, tuple(each.text for each in sorted(of_frame, key=lambda each: -each.weight)))
        for frame, of_frame in ranked[:limit]
    )


def _motion_reasons(frames: Sequence[ReportFrame], pairs: Sequence[KeyframePair]) -> Iterator[_Reason]:
    for index, frame in enumerate(frames):
        if frame.decision == "lost":
            yield _Reason(index, 60.0, f"Tracking was lost: {frame.reason}.")
    for pair in pairs:
        names = f"keyframes {frames[pair.older].keyframe} and {frames[pair.newer].keyframe}"
        if pair.geometry == "FAILED":
            why = f": {pair.reason}." if pair.reason else "."
            yield _Reason(pair.newer, 80.0, f"No relative pose was estimated for {names}{why}")
        rotation, direction = pair.rotation_error_deg or 0.0, pair.direction_error_deg or 0.0
        if max(rotation, direction) > WRONG_DEG:
            yield _Reason(
                pair.newer,
                20.0 + max(rotation, direction) / 3,
                f"The relative pose of {names} is wrong: rotation error {rotation:.1f}°, "
                f"direction error {direction:.1f}°.",
            )


def _largest_values(pairs: Sequence[KeyframePair], timing: TimingSection) -> Iterator[_Reason]:
    """Yield the largest direction error and the slowest image: what to check when nothing is wrong."""
    errors = {pair: pair.direction_error_deg for pair in pairs if pair.direction_error_deg is not None}
    if len(errors) > 1 and max(errors.values()) <= WRONG_DEG:
        pair = max(errors, key=lambda each: errors[each])
        yield _Reason(pair.newer, 1.0, f"Largest error of a direction of motion: {errors[pair]:.2f}°.")
    total: Counter[int] = Counter()
    for stage in timing.stages:
        total.update(dict(zip(stage.frames.tolist(), stage.seconds.tolist(), strict=True)))
    if len(total) > 1:
        frame, seconds = total.most_common(1)[0]
        yield _Reason(frame, 0.5, f"Slowest image: {1e3 * seconds:.0f} ms in total.")


def _detection_reasons(frames: Sequence[ReportFrame], classes: Sequence[str]) -> Iterator[_Reason]:
    for index, frame in enumerate(frames):
        truth, detections = frame.truth, frame.detections
        if truth is None or truth.matched is None or detections is None or detections.matched is None:
            continue
        missed, false = int((~truth.matched).sum()), int((~detections.matched).sum())
        share = (missed + false) / max(len(truth) + false, 1)
        if share < MANY:
            continue
        parts = []
        if missed:
            names = _count_classes(truth.labels[~truth.matched], classes)
            parts.append(f"{missed} of {len(truth)} objects were missed ({names})")
        if false:
            names = _count_classes(detections.labels[~detections.matched], classes)
            parts.append(f"{false} of {len(detections)} detections are false ({names})")
        yield _Reason(index, 30.0 * share, "; ".join(parts) + ".")


def _timing_reasons(timing: TimingSection) -> Iterator[_Reason]:
    for drops in timing.drops:
        for frame in drops.lost.tolist():
            yield _Reason(frame, 100.0, f"{drops.node} returned no result for this image.")
    medians = {stage.name: float(np.median(stage.seconds)) for stage in timing.stages if len(stage.seconds) >= 5}
    noticeable = NOTICEABLE * sum(medians.values())
    for stage in timing.stages:
        median = medians.get(stage.name, 0.0)
        for frame, seconds in zip(stage.frames.tolist(), stage.seconds.tolist(), strict=True):
            if median > 0 and seconds > max(SLOW * median, median + noticeable):
                text = f"{stage.name} took {1e3 * seconds:.0f} ms, {seconds / median:.1f} times the median."
                yield _Reason(frame, 3.0, text)


def _count_classes(labels: np.ndarray, classes: Sequence[str]) -> str:
    counts = Counter(classes[label] for label in labels.tolist())
    return ", ".join(f"{count} {name}" for name, count in counts.most_common(4)) + (" …" if len(counts) > 4 else "")
