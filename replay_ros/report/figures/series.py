"""Errors over time, for the plots of the report."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from replay_ros.report.content import Series
from replay_ros.report.reading.findings import Findings


def errors_over_time(found: Findings) -> tuple[Series, ...]:
    """Return the errors that there is truth for, one series each."""
    every = [*_of_pairs(found), *_of_trajectory(found), *_of_covariances(found), *_of_detections(found)]
    return tuple(series for series in every if len(series.values))


def _of_pairs(found: Findings) -> list[Series]:
    nearest = {pair.newer: pair for pair in sorted(found.pairs, key=lambda pair: pair.older)}
    return [
        _series("rotation", "degrees", {frame: pair.rotation_error_deg for frame, pair in nearest.items()}),
        _series("direction of motion", "degrees", {frame: pair.direction_error_deg for frame, pair in nearest.items()}),
    ]


def _of_trajectory(found: Findings) -> list[Series]:
    path = found.trajectory
    if path is None or path.errors is None:
        return []
    errors = zip(path.frames.tolist(), path.errors.tolist(), strict=True)
    return [_series("position", "m", {frame: error for frame, error in errors if np.isfinite(error)})]


def _of_covariances(found: Findings) -> list[Series]:
    frame_of = {stamp: index for index, stamp in enumerate(found.recording.stamps_ns)}
    edges = ((found.motion or {}).get("poses") or {}).get("details", ())
    ratios = {
        frame_of[edge["newer_ns"]]: edge["nees"] / edge["dof"]
        for edge in edges
        if edge["newer_ns"] in frame_of and edge["nees"] is not None and edge["dof"]
    }
    return [_series("NEES", "per dof", ratios)]


def _of_detections(found: Findings) -> list[Series]:
    if not found.is_detector_trained:
        return []
    return [
        _series("missed", "objects", {k: frame.missed for k, frame in enumerate(found.frames)}),
        _series("without an object", "objects", {k: frame.false for k, frame in enumerate(found.frames)}),
    ]


def _series(name: str, unit: str, values: Mapping[int, float | None]) -> Series:
    known = [(frame, value) for frame, value in sorted(values.items()) if value is not None]
    return Series(name, unit, np.array([f for f, _ in known], int), np.array([v for _, v in known], np.float64))
