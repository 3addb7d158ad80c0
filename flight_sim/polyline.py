"""Positions along polylines."""

from __future__ import annotations

import numpy as np


def arc_lengths(points: np.ndarray) -> np.ndarray:
    """(N,) metres from the first of the points (N, 2) to each of them, along the polyline."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])


def points_at(points: np.ndarray, lengths: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """(M, 2) points at distances (M,) along the polyline with these arc lengths."""
    return np.stack([np.interp(distance, lengths, points[:, k]) for k in (0, 1)], axis=1)
