"""Everything that a report shows, as plain values: made by `from_bag`, drawn by `render` and `to_rerun`.

A part that a replay did not have (truth, detections, motion, timing) is None or empty, and the report leaves it out.
Frames are named by their index in `ReportContent.frames`. Pixels are those of the original image: x right, y down, the
top-left pixel covers 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np

Verdict = Literal["good", "doubtful", "bad", "plain"]


class MatchKind(IntEnum):
    """What became of a match: against the pair's pose, in agreement with it, or on something that moves."""

    OUTLIER = 0
    INLIER = 1
    DYNAMIC = 2


@dataclass(frozen=True, eq=False)
class Boxes:
    """Objects in one image.

    xyxy: (N, 4). labels: (N,) int, index into `ReportContent.classes`. scores: (N,), 0 to 1; None for truth.
    agrees: (N,) bool: a detection lies on an object of its class, or an object was found; None where that is not known.
    """

    xyxy: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None = None
    agrees: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.xyxy)


@dataclass(frozen=True, eq=False)
class ReportFrame:
    """One image that was replayed.

    stamp_ns: of its header. size: width and height. picture: JPEG, None for a frame that is not shown. detections,
    regions ((M, 4) xyxy): None without an answer. decision, reason: what the matching made of the image, in words.
    keyframe: its id when it became one.
    """

    stamp_ns: int
    size: tuple[int, int]
    picture: bytes | None = None
    detections: Boxes | None = None
    regions: np.ndarray | None = None
    truth: Boxes | None = None
    decision: str = ""
    reason: str = ""
    keyframe: int | None = None

    @property
    def missed(self) -> int | None:
        """Objects that were not found; None where that is not known."""
        return None if self.truth is None or self.truth.agrees is None else int((~self.truth.agrees).sum())

    @property
    def false(self) -> int | None:
        """Detections without an object; None where that is not known."""
        known = self.detections is not None and self.detections.agrees is not None
        return int((~self.detections.agrees).sum()) if known else None  # type: ignore[union-attr, operator]


@dataclass(frozen=True, eq=False)
class KeyframePair:
    """Two keyframes that were matched. older, newer: frames. points0, points1: (N, 2) pixels, thinned for showing.

    kinds: (N,) MatchKind. counts: matches of each kind before thinning. geometry: as RelativePose names it, "" without
    a pose. parallax_deg, residual_px: medians. scale: where the length of the motion came from. The errors against the
    truth are in degrees, None where one is not known or not defined.
    """

    older: int
    newer: int
    points0: np.ndarray
    points1: np.ndarray
    kinds: np.ndarray
    counts: dict[MatchKind, int]
    geometry: str = ""
    reason: str = ""
    scale: str = ""
    parallax_deg: float | None = None
    residual_px: float | None = None
    rotation_error_deg: float | None = None
    direction_error_deg: float | None = None


@dataclass(frozen=True, eq=False)
class TrajectorySection:
    """The flight from above. axes: names of x and y with their unit. about: how both paths were laid on each other.

    frames: (N,) of the keyframes. estimated: (N, 2). covariances: (N, 2, 2) of them, unit squared. starts: (N,) bool:
    no motion leads to this keyframe, a new piece begins. errors: (N,) distance to the truth in 3-D; None without truth.
    true_frames: (M,), true: (M, 2).
    """

    axes: tuple[str, str]
    about: str
    frames: np.ndarray
    estimated: np.ndarray
    covariances: np.ndarray
    starts: np.ndarray
    errors: np.ndarray | None = None
    true_frames: np.ndarray | None = None
    true: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Series:
    """Values over time. frames: (N,) int, values: (N,)."""

    name: str
    unit: str
    frames: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """A curve of one class or protocol. recall, precision: (N,), 0 to 1. ap: None where it was not computed."""

    name: str
    recall: np.ndarray
    precision: np.ndarray
    ap: float | None = None


@dataclass(frozen=True, eq=False)
class Stage:
    """How long one stage took. frames: (N,) int, seconds: (N,)."""

    name: str
    frames: np.ndarray
    seconds: np.ndarray


@dataclass(frozen=True, eq=False)
class Drops:
    """Images that a node did not answer. lost: (K,) frames."""

    node: str
    images: int
    lost: np.ndarray


@dataclass(frozen=True, eq=False)
class Resources:
    """Use of the machine. seconds: (N,) since the start. cpu_percent: (N,), 100 for one core. memory_mib: (N,)."""

    seconds: np.ndarray
    cpu_percent: np.ndarray
    memory_mib: np.ndarray
    gpu_memory_mib: np.ndarray | None = None


@dataclass(frozen=True)
class TimingSection:
    """Latencies, drops and resources of a replay; each part may be missing."""

    stages: tuple[Stage, ...] = ()
    drops: tuple[Drops, ...] = ()
    resources: Resources | None = None


@dataclass(frozen=True)
class Tile:
    """A figure at the top. value: with its unit. detail: what it is made of. verdict: how good that is."""

    label: str
    value: str
    detail: str = ""
    verdict: Verdict = "plain"


@dataclass(frozen=True)
class ReportedProblem:
    """Something that went wrong, in words. frame: where it can be seen."""

    text: str
    verdict: Verdict = "doubtful"
    frame: int | None = None


@dataclass(frozen=True)
class WorstFrame:
    """A frame to look at first, and why."""

    frame: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows of text under a heading. note: what a reader must know of them."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class ReportContent:
    """A whole report. trained: False when some answers came from random weights. shown: which frames have pictures."""

    title: str
    subtitle: str
    frames: tuple[ReportFrame, ...]
    classes: tuple[str, ...] = ()
    trained: bool = True
    shown: str = ""
    tiles: tuple[Tile, ...] = ()
    problems: tuple[ReportedProblem, ...] = ()
    worst: tuple[WorstFrame, ...] = ()
    pairs: tuple[KeyframePair, ...] = ()
    trajectory: TrajectorySection | None = None
    errors: tuple[Series, ...] = ()
    curves: tuple[PrecisionRecall, ...] = ()
    timing: TimingSection = TimingSection()
    tables: tuple[Table, ...] = ()
    provenance: tuple[Table, ...] = ()
