"""Stage durations, dropped images and resource use of the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from replay_ros.report.content.plots import Drops, Resources, Stage, TimingSection
from replay_ros.report.reading.recording import RecordedReplay
from replay_ros.result.timing import Timing


def timing_section(recording: RecordedReplay, measured: Timing | None) -> TimingSection:
    """Return the measured timing; stages and drops that it does not have are taken from the result messages."""
    frame_of = recording.frame_of
    section = TimingSection() if measured is None else _measured_section(measured, frame_of)
    stages, drops = [], []
    for stage, node, messages, attribute in (
        ("Detection", "yolc_node", recording.detections, "inference_seconds"),
        ("Matching", "loftr_node", recording.statuses, "matching_seconds"),
    ):
        if messages is not None:
            durations = ((stamp, getattr(message, attribute)) for stamp, message in messages.items())
            stages.append(_stage(stage, durations, frame_of))
            lost = [frame for stamp, frame in frame_of.items() if stamp not in messages]
            drops.append(Drops(node=node, images=len(frame_of), lost=np.array(lost, int)))
    return TimingSection(section.stages or tuple(stages), section.drops or tuple(drops), section.resources)


def _measured_section(timing: Timing, frame_of: Mapping[int, int]) -> TimingSection:
    """Convert stamps to frames; images that are not in the bag are left out."""
    stages = [_stage(each.name, zip(each.stamps_ns, each.seconds, strict=True), frame_of) for each in timing.stages]
    drops = [
        Drops(
            node=each.node,
            images=each.images,
            lost=np.array([frame_of[stamp] for stamp in each.lost if stamp in frame_of], int),
        )
        for each in timing.drops
    ]
    return TimingSection(tuple(stages), tuple(drops), _resources(timing))


def _stage(name: str, durations: Iterable[tuple[int, float]], frame_of: Mapping[int, int]) -> Stage:
    """Return a stage. durations: (image stamp, seconds)."""
    known = [(frame_of[stamp], seconds) for stamp, seconds in durations if stamp in frame_of]
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
