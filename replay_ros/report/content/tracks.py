"""Tracked objects: the boxes of a frame, and their timeline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class TrackBoxes:
    """The tracks of one image that count as present.

    xyxy: (N, 4) pixels. ids: (N,) int. labels: (N,) int, index into `ReportContent.classes`. lost: (N,) bool, not
    detected in this image: the box is predicted. trails: (L, 4), lines of the trails, x0, y0, x1, y1, pixels.
    """

    xyxy: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    lost: np.ndarray
    trails: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class TrackLine:
    """The frames (N,) int in which a track was detected, ascending. name: of its class."""

    id: int
    name: str
    frames: np.ndarray


@dataclass(frozen=True, eq=False)
class TracksSection:
    """Timeline of the tracks, by their first frame.

    switch_frames, switch_ids: (K,) int, where an object got another id, and that id; empty without ground truth. about:
    what is drawn, in words.
    """

    lines: tuple[TrackLine, ...]
    switch_frames: np.ndarray
    switch_ids: np.ndarray
    about: str
