"""Which matches a robust fit has to look at: the best of every part of the view."""

from __future__ import annotations

import numpy as np

from loftr_ros.geometry.rays import RayPairs

_CELLS = 16  # along each side of the grid


def spread_sample(pairs: RayPairs, count: int) -> np.ndarray:
    """Indices, ascending, of at most `count` matches that weigh much and lie all over the older view.

    Every cell of a grid gives its heaviest match, then its second heaviest, until there are enough; nothing is random.
    """
    if len(pairs) <= count:
        return np.arange(len(pairs))
    cell = grid_cells(pairs, _CELLS)
    order = np.lexsort((-pairs.weights, cell))
    start = np.searchsorted(cell[order], np.arange(_CELLS**2))
    rank = np.arange(len(pairs)) - start[cell[order]]
    chosen = order[np.lexsort((-pairs.weights[order], rank))[:count]]
    return np.sort(chosen)


def grid_cells(pairs: RayPairs, side: int) -> np.ndarray:
    """Cells (N,) int, from 0 to side^2 - 1, of a grid over what the matches cover of the older view.

    The grid is one of directions, so that the rays of a fisheye fill it too.
    """
    directions = pairs.rows0[:2] / np.sqrt(np.einsum("in,in->n", pairs.rows0, pairs.rows0))
    low, high = directions.min(axis=1, keepdims=True), directions.max(axis=1, keepdims=True)
    column, row = np.minimum((directions - low) / np.maximum(high - low, 1e-12) * side, side - 1).astype(int)
    return np.asarray(row * side + column)
