"""The problems of a replay, as sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from replay_ros.report.content.plots import TimingSection
from replay_ros.report.content.text import ReportedProblem
from replay_ros.report.figures.evaluated_replay import EvaluatedReplay
from replay_ros.report.reading.recording import RecordedReplay
from replay_ros.result.answers import refused_images

MAX_NODE_PROBLEMS = 5  # shown per node


def problems(replay: EvaluatedReplay) -> tuple[ReportedProblem, ...]:
    """Return the problems, the most severe first."""
    return (
        *(
            ReportedProblem(f"{model} ran with random weights: its results are meaningless.", "bad")
            for model in replay.untrained
        ),
        *_lost_images(replay.timing),
        *_refused_images(replay),
        *_oddities(replay),
        *_lost_motion(replay),
        *_overconfidence(replay.motion),
        *_node_problems(replay.recording),
        *_missing_information(replay),
    )


def _lost_images(timing: TimingSection) -> Iterator[ReportedProblem]:
    for drops in timing.drops:
        if len(drops.lost):
            text = f"{drops.node} returned no result for {len(drops.lost)} of {drops.images} images."
            yield ReportedProblem(text, "bad", int(drops.lost[0]))


def _refused_images(replay: EvaluatedReplay) -> Iterator[ReportedProblem]:
    for refusal in refused_images(replay.answers):
        text = f"{len(refusal.images)} images were refused: {refusal.cause.rstrip('.')}."
        yield ReportedProblem(text, "bad", refusal.images[0])


def _oddities(replay: EvaluatedReplay) -> Iterator[ReportedProblem]:
    for text in replay.oddities:
        yield ReportedProblem(f"{text[:1].upper()}{text[1:].rstrip('.')}.")
    if replay.recording.unassigned:
        text = f"{replay.recording.unassigned} messages are not shown: several images share their stamp."
        yield ReportedProblem(text)


def _lost_motion(replay: EvaluatedReplay) -> Iterator[ReportedProblem]:
    failed = [pair for pair in replay.pairs if pair.geometry == "FAILED"]
    if failed:
        text = f"No relative pose was estimated for {len(failed)} of {len(replay.pairs)} keyframe pairs."
        yield ReportedProblem(text, "bad", failed[0].newer)
    lost = [index for index, frame in enumerate(replay.frames) if frame.decision == "lost"]
    if lost:
        yield ReportedProblem(f"Tracking was lost at {len(lost)} of {len(replay.frames)} images.", "bad", lost[0])


def _overconfidence(motion: Mapping[str, Any] | None) -> Iterator[ReportedProblem]:
    calibration = (motion or {}).get("calibration")
    if calibration and calibration["nees_per_dof"] > calibration["expected"][1]:
        ratio = calibration["nees_per_dof"]
        yield ReportedProblem(
            f"The covariances are overconfident: squared errors are {ratio:.1f} times their predicted values."
        )


def _node_problems(recording: RecordedReplay) -> Iterator[ReportedProblem]:
    for name, state in recording.nodes.items():
        texts = [text.rstrip(".") for _, text in state.problems if "random weights" not in text]
        yield from (ReportedProblem(f"{name.lstrip('/')} reported: {text}.") for text in texts[:MAX_NODE_PROBLEMS])


def _missing_information(replay: EvaluatedReplay) -> Iterator[ReportedProblem]:
    if replay.pairs and all(pair.scale in ("", "UNKNOWN") for pair in replay.pairs):
        yield ReportedProblem("The scale of the motion is unknown: lengths are not in metres.", "plain")
    if replay.recording.true_detections is None and not replay.motion:
        yield ReportedProblem("The bag holds no ground truth: the accuracy of the results is unknown.", "plain")
