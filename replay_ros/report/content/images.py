"""Frames of a replay with their boxes, and matched keyframe pairs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from replay_ros.report.content.tracks import TrackBoxes


class MatchKind(IntEnum):
    """Outlier or inlier of the pair's relative pose, or a match on a moving object."""

    OUTLIER = 0
    INLIER = 1
    DYNAMIC = 2


@dataclass(frozen=True, eq=False)
class Boxes:
    """Detections or ground-truth objects of one image.

    xyxy: (N, 4) pixels. labels: (N,) int, index into `ReportContent.classes`. scores: (N,), 0 to 1; None for ground
    truth. matched: (N,) bool, the detection matches a ground-truth object or the object was detected; None when
    detections and ground truth were not compared.
    """

    xyxy: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None = None
    matched: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.xyxy)

    @property
    def unmatched(self) -> int | None:
        """Number of boxes without a match; None when they were not compared."""
        return None if self.matched is None else int((~self.matched).sum())


@dataclass(frozen=True, eq=False)
class ReportFrame:
    """One replayed image.

    stamp_ns: header stamp. size: (width, height). picture: JPEG; None for a frame that is not shown. detections: None
    when the detector returned no result. regions: (M, 4) xyxy, clusters; None likewise. truth: ground-truth objects.
    tracks: None when there is no tracking.
    decision, reason: keyframe decision of loftr_node and its reason. keyframe: its id, for a keyframe.
    """

    stamp_ns: int
    size: tuple[int, int]
    picture: bytes | None = None
    detections: Boxes | None = None
    regions: np.ndarray | None = None
    truth: Boxes | None = None
    tracks: TrackBoxes | None = None
    decision: str = ""
    reason: str = ""
    keyframe: int | None = None

    @property
    def missed(self) -> int | None:
        """Number of ground-truth objects without a detection; None when they were not compared."""
        return None if self.truth is None else self.truth.unmatched

    @property
    def false(self) -> int | None:
        """Number of detections without a ground-truth object; None when they were not compared."""
        return None if self.detections is None else self.detections.unmatched


@dataclass(frozen=True, eq=False)
class KeyframePair:
    """Two matched keyframes.

    older, newer: frame indices. points0, points1: (N, 2) pixels, a subset of the matches. kinds: (N,) MatchKind.
    counts: number of matches of each kind before subsampling. geometry: constant of RelativePose.msg, "" without a
    pose. scale: source of the metric scale. parallax_deg, residual_px: medians. rotation_error_deg,
    direction_error_deg: against ground truth; None when unknown or undefined.
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
