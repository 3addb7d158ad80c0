"""Which frames deserve a look first, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from replay_ros.report.content import KeyframePair, ReportFrame, TimingSection, WorstFrame
from replay_ros.report.reading.findings import Findings

WRONG_DEG = 5.0  # an error of a pose from which the papers count it as failed
SLOW = 2.0  # times the median from which a stage was slow
LONG = 0.2  # of the time of an image by which it was longer than its median, so that somebody feels it
MANY = 1 / 3  # of objects and detections that disagree
MOST = 12


def worst_frames(found: Findings, most: int = MOST) -> tuple[WorstFrame, ...]:
    """Return the worst frames, first the worst. The detections of a detector with random weights are not judged."""
    complaints = [
        *_of_motion(found.frames, found.pairs),
        *_of_timing(found.timing),
        *_largest(found.pairs, found.timing),
    ]
    if found.is_detector_trained:
        complaints += _of_detections(found.frames, found.classes)
    reasons: dict[int, list[tuple[float, str]]] = {}
    for frame, weight, reason in complaints:
        reasons.setdefault(frame, []).append((weight, reason))
    ranked = sorted(reasons.items(), key=lambda item: (-sum(weight for weight, _ in item[1]), item[0]))
    return tuple(
        WorstFrame(frame, tuple(reason for _, reason in sorted(told, key=lambda each: -each[0])))
        for frame, told in ranked[:most]
    )


Complaint = tuple[int, float, str]  # frame, weight, reason


def _of_motion(frames: Sequence[ReportFrame], pairs: Sequence[KeyframePair]) -> Iterator[Complaint]:
    for index, frame in enumerate(frames):
        if frame.decision == "lost":
            yield index, 60.0, f"The track was lost: {frame.reason}."
    for pair in pairs:
        names = f"keyframes {frames[pair.older].keyframe} and {frames[pair.newer].keyframe}"
        if pair.geometry == "FAILED":
            yield (
                pair.newer,
                80.0,
                f"No motion was found between {names}" + (f": {pair.reason}." if pair.reason else "."),
            )
        rotation, direction = pair.rotation_error_deg or 0.0, pair.direction_error_deg or 0.0
        if max(rotation, direction) > WRONG_DEG:
            yield (
                pair.newer,
                20.0 + max(rotation, direction) / 3,
                f"The motion between {names} is wrong: rotation by {rotation:.1f}°, direction by {direction:.1f}°.",
            )


def _largest(pairs: Sequence[KeyframePair], timing: TimingSection) -> Iterator[Complaint]:
    """Where to look when nothing is wrong: the largest error of a pose and the image that took longest."""
    errors = {pair: pair.direction_error_deg for pair in pairs if pair.direction_error_deg is not None}
    if len(errors) > 1 and max(errors.values()) <= WRONG_DEG:
        pair = max(errors, key=lambda each: errors[each])
        yield pair.newer, 1.0, f"The largest error of a direction of motion: {errors[pair]:.2f}°."
    took: Counter[int] = Counter()
    for stage in timing.stages:
        took.update(dict(zip(stage.frames.tolist(), stage.seconds.tolist(), strict=True)))
    if len(took) > 1:
        frame, seconds = took.most_common(1)[0]
        yield frame, 0.5, f"The slowest image: {1e3 * seconds:.0f} ms in all."


def _of_detections(frames: Sequence[ReportFrame], classes: Sequence[str]) -> Iterator[Complaint]:
    for index, frame in enumerate(frames):
        if frame.truth is None or frame.truth.agrees is None:
            continue
        if frame.detections is None or frame.detections.agrees is None:
            continue
        missed, false = int((~frame.truth.agrees).sum()), int((~frame.detections.agrees).sum())
        share = (missed + false) / max(len(frame.truth) + false, 1)
        if share < MANY:
            continue
        parts = []
        if missed:
            names = _counted(frame.truth.labels[~frame.truth.agrees], classes)
            parts.append(f"{missed} of {len(frame.truth)} objects were missed ({names})")
        if false:
            names = _counted(frame.detections.labels[~frame.detections.agrees], classes)
            parts.append(f"{false} of {len(frame.detections)} detections have no object ({names})")
        yield index, 30.0 * share, "; ".join(parts) + "."


def _of_timing(timing: TimingSection) -> Iterator[Complaint]:
    for drops in timing.drops:
        for frame in drops.lost.tolist():
            yield frame, 100.0, f"{drops.node} did not answer this image."
    medians = {stage.name: float(np.median(stage.seconds)) for stage in timing.stages if len(stage.seconds) >= 5}
    felt = LONG * sum(medians.values())
    for stage in timing.stages:
        median = medians.get(stage.name, 0.0)
        for frame, seconds in zip(stage.frames.tolist(), stage.seconds.tolist(), strict=True):
            if median > 0 and seconds > max(SLOW * median, median + felt):
                yield frame, 3.0, f"{stage.name} took {1e3 * seconds:.0f} ms, {seconds / median:.1f} times the median."


def _counted(labels: np.ndarray, classes: Sequence[str]) -> str:
    counts = Counter(classes[label] for label in labels.tolist())
    return ", ".join(f"{count} {name}" for name, count in counts.most_common(4)) + (" …" if len(counts) > 4 else "")
