"""Neighbouring points, found by hashing them to a grid."""

from __future__ import annotations

import numpy as np

_COLUMN = 1 << 32  # keys of a grid column apart: cells of one column have successive keys


def pairs_within(points0: np.ndarray, points1: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Indices (P,), (P,) int64 of all pairs of points (N, 2), (M, 2) that are no farther apart than `radius`.

    Sorted by the first index, then by the distance, then by the second index.
    """
    cells0, keys1 = _cells(points0, radius), _keys(_cells(points1, radius))
    order = np.argsort(keys1, kind="stable")
    keys1 = keys1[order]
    found0, found1 = [], []
    for column in (-1, 0, 1):
        middle = _keys(cells0) + column * _COLUMN
        begin, end = np.searchsorted(keys1, middle - 1, "left"), np.searchsorted(keys1, middle + 1, "right")
        counts = end - begin
        found0.append(np.repeat(np.arange(len(points0)), counts))
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        found1.append(order[np.repeat(begin, counts) + within])
    index0, index1 = np.concatenate(found0), np.concatenate(found1)
    distances = np.linalg.norm(np.asarray(points0)[index0] - np.asarray(points1)[index1], axis=1)
    near = distances <= radius
    index0, index1, distances = index0[near], index1[near], distances[near]
    order = np.lexsort([index1, distances, index0])
    return index0[order], index1[order]


def nearest_within(points0: np.ndarray, points1: np.ndarray, radius: float) -> np.ndarray:
    """Index (N,) int64 of the nearest of `points1` (M, 2) for each of `points0` (N, 2); -1: none within the radius."""
    index0, index1 = pairs_within(points0, points1, radius)
    nearest = np.full(len(points0), -1)
    first, where = np.unique(index0, return_index=True)
    nearest[first] = index1[where]
    return nearest


def thin_out(points: np.ndarray, radius: float) -> np.ndarray:
    """Choose points (N, 2), the first ones first, so that no two are within `radius`.

    Returns (N,) int64, the representative of each point: the index of a chosen point within the radius; for a chosen
    point its own. A point that is left out goes to the first chosen one within the radius.
    """
    index0, index1 = pairs_within(points, points, radius)
    earlier = index1 < index0
    representative = np.arange(len(points))
    index0, index1 = index0[earlier], index1[earlier]
    order = np.lexsort([index1, index0])
    for later, before in zip(index0[order].tolist(), index1[order].tolist(), strict=True):
        if representative[later] == later and representative[before] == before:
            representative[later] = before
    return representative


def _cells(points: np.ndarray, radius: float) -> np.ndarray:
    """Cells (N, 2) int64, a hair larger than the radius so that rounding takes no pair two cells apart."""
    return np.floor(np.asarray(points, np.float64).reshape(-1, 2) / (radius * (1 + 1e-9))).astype(np.int64)


def _keys(cells: np.ndarray) -> np.ndarray:
    return cells[:, 0] * _COLUMN + cells[:, 1]
