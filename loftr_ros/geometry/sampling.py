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
    cell = grid_cells(pairs, _GRID_SIDE).astype(np.uint8)  # at most 256 cells; numpy sorts bytes in linear time
    order = np.lexsort((-pairs.weights, cell))
    in_cell = np.bincount(cell, minlength=_GRID_SIDE**2)
    rank = np.arange(len(pairs)) - (np.cumsum(in_cell) - in_cell)[cell[order]]
    last = np.searchsorted(np.cumsum(np.bincount(rank)), count)  # the rank of which only the heaviest are taken
    whole, of_last = order[rank < last], order[rank == last]
    heaviest = of_last[np.argsort(-pairs.weights[of_last], kind="stable")[: count - len(whole)]]
    return np.sort(np.concatenate([whole, heaviest]))


def grid_cells(pairs: RayPairs, side: int) -> np.ndarray:
    """Cells (N,) int, 0 to side^2 - 1, of a grid over the part of the older view that the matches cover.

    The grid divides unit directions, not normalised coordinates, so that a fisheye view fills it evenly.
    """
    directions = pairs.rows0[:2] / np.sqrt(np.einsum("in,in->n", pairs.rows0, pairs.rows0))
    low, high = directions.min(axis=1, keepdims=True), directions.max(axis=1, keepdims=True)
    column, row = np.minimum((directions - low) / np.maximum(high - low, 1e-12) * side, side - 1).astype(int)
    return np.asarray(row * side + column)
