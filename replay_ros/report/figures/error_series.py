"""Errors against the ground truth over time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from replay_ros.report.content.plots import Series
from replay_ros.report.figures.evaluated_replay import EvaluatedReplay


def errors_over_time(replay: EvaluatedReplay) -> tuple[Series, ...]:
    """Return one series for each kind of error that was evaluated."""
    candidates = [
        *_pair_errors(replay),
        *_position_errors(replay),
        _covariance_consistency(replay),
        *_detection_errors(replay),
    ]
    return tuple(series for series in candidates if len(series.values))


def _pair_errors(replay: EvaluatedReplay) -> list[Series]:
    """Return the errors of each keyframe with the nearest older one."""
    nearest = {pair.newer: pair for pair in sorted(replay.pairs, key=lambda pair: pair.older)}
    return [
        _series("rotation", "degrees", {frame: pair.rotation_error_deg for frame, pair in nearest.items()}),
        _series("direction of motion", "degrees", {frame: pair.direction_error_deg for frame, pair in nearest.items()}),
    ]


def _position_errors(replay: EvaluatedReplay) -> list[Series]:
    path = replay.trajectory
    if path is None or path.errors is None:
        return []
    errors = zip(path.frames.tolist(), path.errors.tolist(), strict=True)
    return [_series("position", "m", {frame: error for frame, error in errors if np.isfinite(error)})]


def _covariance_consistency(replay: EvaluatedReplay) -> Series:
    frame_of = replay.recording.position_of_stamp
    edges = ((replay.motion or {}).get("poses") or {}).get("details", ())
    ratios = {
        frame_of[edge["newer_ns"]]: edge["nees"] / edge["dof"]
        for edge in edges
        if edge["newer_ns"] in frame_of and edge["nees"] is not None and edge["dof"]
    }
    return _series("NEES", "per dof", ratios)


def _detection_errors(replay: EvaluatedReplay) -> list[Series]:
    if not replay.is_detector_trained:
        return []
    return [
        _series("missed objects", "objects", {k: frame.missed for k, frame in enumerate(replay.frames)}),
        _series("false detections", "objects", {k: frame.false for k, frame in enumerate(replay.frames)}),
    ]


def _series(name: str, unit: str, values: Mapping[int, float | None]) -> Series:
    known = [(frame, value) for frame, value in sorted(values.items()) if value is not None]
    return Series(
        name=name,
        unit=unit,
        frames=np.array([frame for frame, _ in known], int),
        values=np.array([value for _, value in known], np.float64),
    )
