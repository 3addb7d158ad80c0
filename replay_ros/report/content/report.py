"""The whole content of a report."""

from __future__ import annotations

from dataclasses import dataclass, field

from replay_ros.report.content.images import KeyframePair, ReportFrame
from replay_ros.report.content.plots import GroundMap, PrecisionRecall, Series, TimingSection, TrajectorySection
from replay_ros.report.content.text import FrameToCheck, ReportedProblem, Table, Tile
from replay_ros.report.content.tracks import TracksSection


@dataclass(frozen=True)
class ReportContent:
    """Built by `report.build`, written by `to_html` and `to_rerun`.

    A part that a replay does not have (ground truth, detections, tracks, motion, timing) is None or empty, and the
    report omits it. trained: False when some results came from random weights. shown: which frames have pictures.
    errors: against ground truth.
    """

    title: str
    subtitle: str
    frames: tuple[ReportFrame, ...]
    classes: tuple[str, ...] = ()
    trained: bool = True
    shown: str = ""
    tiles: tuple[Tile, ...] = ()
    problems: tuple[ReportedProblem, ...] = ()
    frames_to_check: tuple[FrameToCheck, ...] = ()
    pairs: tuple[KeyframePair, ...] = ()
    tracks: TracksSection | None = None
    trajectory: TrajectorySection | None = None
    ground_map: GroundMap | None = None
    errors: tuple[Series, ...] = ()
    curves: tuple[PrecisionRecall, ...] = ()
    timing: TimingSection = field(default_factory=TimingSection)
    tables: tuple[Table, ...] = ()
    provenance: tuple[Table, ...] = ()
