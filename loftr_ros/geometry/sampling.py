"""A deterministic sample of matches that covers the view, so that a robust fit need not process all of them."""

from __future__ import annotations

import numpy as np

from loftr_ros.geometry.rays import RayPairs

_GRID_SIDE = 16  # cells along each side of the view: two matches of a sample of 500 per cell (empirical)


def spread_sample(pairs: RayPairs, count: int) -> np.ndarray:
    """Indices, ascending, of at most `count` matches with large weights, spread over the older view.

    Every cell of a grid contributes its heaviest match, then its second heaviest, until there are enough.
    """
    if len(pairs) <= count:
        return np.arange(len(pairs))
    cell = grid_cells(pairs, _GRID_SIDE)
    order = np.lexsort((-pairs.weights, cell))
    start = np.searchsorted(cell[order], np.arange(_GRID_SIDE**2))
    rank = np.arange(len(pairs)) - start[cell[order]]
    chosen = order[np.lexsort((-pairs.weights[order], rank))[:count]]
    return np.sort(chosen)


def grid_cells(pairs: RayPairs, side: int) -> np.ndarray:
    """Cells (N,) int, 0 to side^2 - 1, of a grid over the part of the older view that the matches cover.

    The grid divides unit directions, not normalised coordinates, so that a fisheye view fills it evenly.
    """
    directions = pairs.rows0[:2] / np.sqrt(np.einsum("in,in->n", pairs.rows0, pairs.rows0))
    low, high = directions.min(axis=1, keepdims=True), directions.max(axis=1, keepdims=True)
    column, row = np.minimum((directions - low) / np.maximum(high - low, 1e-12) * side, side - 1).astype(int)
    return np.asarray(row * side + column)
