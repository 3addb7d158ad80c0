"""Stage durations, unanswered images and resource use of the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from replay_ros.report.content.plots import Drops, Resources, Stage, TimingSection
from replay_ros.report.reading.recording import RecordedReplay
from replay_ros.result.answers import NodeAnswers
from replay_ros.result.timing import Timing


def timing_section(
    recording: RecordedReplay, measured: Timing | None, answers: Sequence[NodeAnswers] = ()
) -> TimingSection:
    """Return the measured timing and the images without an answer; what is not given comes from the result messages."""
    images = len(recording.stamps_ns)
    stages, drops = [], []
    for stage, node, messages, attribute in (
        ("Detection", "yolc_node", recording.detections, "inference_seconds"),
        ("Matching", "loftr_node", recording.statuses, "matching_seconds"),
    ):
        if messages is not None:
            durations = ((position, getattr(message, attribute)) for position, message in messages.items())
            stages.append(_stage(stage, durations, images))
            lost = [position for position in range(images) if position not in messages]
            drops.append(Drops(node=node, images=images, lost=np.array(lost, int)))
    if measured is not None and measured.stages:
        stages = [_stage(each.name, zip(each.images, each.seconds, strict=True), images) for each in measured.stages]
    if answers:
        drops = [
            Drops(
                node=each.node,
                images=each.images,
                lost=np.array([position for position in each.unanswered if position < images], int),
                refused=each.refused_images,
            )
            for each in answers
        ]
    return TimingSection(tuple(stages), tuple(drops), None if measured is None else _resources(measured))


def _stage(name: str, durations: Iterable[tuple[int, float]], images: int) -> Stage:
    """Return a stage. durations: (position, seconds); images that are not in the bag are left out."""
    known = [(position, seconds) for position, seconds in durations if position < images]
    return Stage(
        name=name,
        frames=np.array([frame for frame, _ in known], int),
        seconds=np.array([seconds for _, seconds in known], np.float64),
    )


def _resources(timing: Timing) -> Resources | None:
    use = timing.resources
    if use is None:
        return None
    return Resources(
        seconds=np.array(use.seconds),
        cpu_percent=np.array(use.cpu_percent),
        memory_mib=np.array(use.memory_mib),
        gpu_memory_mib=None if use.gpu_memory_mib is None else np.array(use.gpu_memory_mib),
    )
