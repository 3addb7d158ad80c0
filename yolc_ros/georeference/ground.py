"""The ground that rays are met with: a level plane, or a grid of heights. All in the local ENU frame, metres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

_STEPS = 8, 2000  # samples along a ray through a grid before bisection: four in each cell, within these limits
_MARGIN = 0.01  # metres above and below all heights of a grid, where the search on a ray begins and ends
_BISECTIONS = 24  # of the step in which a ray goes below the grid: 1e-7 of its length


class Ground(Protocol):
    """A surface that rays from a camera may meet."""

    def meet(self, origin: np.ndarray, rays: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the factors s (N,) and the normals (N, 3) with z 1 of the places origin + s rays on the ground.

        origin: (3,). rays: (N, 3), of any length. reach: metres of horizontal distance. s is NaN where a ray does not
        meet the ground.
        """


@dataclass(frozen=True)
class FlatGround:
    """A level plane at `height`."""

    height: float

    def meet(self, origin: np.ndarray, rays: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
        """Meet rays; those that are level or go up do not."""
        with np.errstate(divide="ignore", invalid="ignore"):
            factors = (self.height - origin[2]) / rays[:, 2]
            factors = np.where((factors > 0) & np.isfinite(factors), factors, np.nan)
        return factors, np.tile([0.0, 0.0, 1.0], (len(rays), 1))


@dataclass(frozen=True, eq=False)
class GridGround:
    """Heights on a regular grid, bilinear between its nodes.

    heights: (rows, columns), metres, NaN where unknown. to_cell: (2, 3), takes (x, y, 1) to (column, row).
    """

    heights: np.ndarray
    to_cell: np.ndarray

    def height_at(self, places: np.ndarray) -> np.ndarray:
        """Return the heights (...,) at places (..., 2 or 3); NaN where they are unknown."""
        columns, rows = np.moveaxis(places[..., :2] @ self.to_cell[:, :2].T + self.to_cell[:, 2], -1, 0)
        last_row, last_column = np.array(self.heights.shape) - 1
        with np.errstate(invalid="ignore"):
            inside = (columns >= 0) & (columns <= last_column) & (rows >= 0) & (rows <= last_row)
        columns, rows = np.where(inside, columns, 0.0), np.where(inside, rows, 0.0)
        i, j = np.minimum(rows.astype(int), last_row - 1), np.minimum(columns.astype(int), last_column - 1)
        v, u = rows - i, columns - j
        upper = (1 - u) * self.heights[i, j] + u * self.heights[i, j + 1]
        lower = (1 - u) * self.heights[i + 1, j] + u * self.heights[i + 1, j + 1]
        return np.where(inside, (1 - v) * upper + v * lower, np.nan)

    def meet(self, origin: np.ndarray, rays: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
        """Meet rays with the first place where they go below the grid; an unknown height before it counts as a miss."""
        low, high = float(np.nanmin(self.heights)), float(np.nanmax(self.heights))
        begin, end = self._span(origin, rays, reach, low, high)
        cells = np.max((end - begin) * np.linalg.norm(rays[:, :2] @ self.to_cell[:, :2].T, axis=1), initial=0.0)
        shares = np.linspace(0.0, 1.0, int(np.clip(np.ceil(4 * cells), *_STEPS)) + 1)
        along = begin[:, None] + (end - begin)[:, None] * shares
        places = origin + along[..., None] * rays[:, None]
        above = places[..., 2] - self.height_at(places)  # NaN outside
        stops = ~(above > 0)  # below the ground, or unknown
        first = np.argmax(stops, axis=1)
        row = np.arange(len(rays))
        crosses = (first > 0) & (above[row, first] <= 0)
        before, after = along[row, np.maximum(first - 1, 0)], along[row, first]
        for _ in range(_BISECTIONS):
            middle = (before + after) / 2
            place = origin + middle[:, None] * rays
            is_above = place[:, 2] > self.height_at(place)
            before, after = np.where(is_above, middle, before), np.where(is_above, after, middle)
        factors = np.where(crosses, (before + after) / 2, np.nan)
        return factors, self._normals(origin + factors[:, None] * rays)

    def _span(
        self, origin: np.ndarray, rays: np.ndarray, reach: float, low: float, high: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the factors (N,) between which a ray may meet the grid: from its highest height to its lowest."""
        furthest = reach / np.maximum(np.linalg.norm(rays[:, :2], axis=1), 1e-12)
        with np.errstate(divide="ignore", invalid="ignore"):
            to_high, to_low = (high + _MARGIN - origin[2]) / rays[:, 2], (low - _MARGIN - origin[2]) / rays[:, 2]
        goes_down = rays[:, 2] < 0
        begin = np.where(goes_down, np.maximum(to_high, 0.0), 0.0)
        end = np.where(goes_down, np.minimum(to_low, furthest), furthest)
        return np.minimum(begin, end), np.maximum(end, 0.0)

    def _normals(self, places: np.ndarray) -> np.ndarray:
        """Return (-dz/dx, -dz/dy, 1) at places (N, 3): central differences over half a cell."""
        half = 0.25 / np.linalg.norm(self.to_cell[:, :2], axis=0)  # a quarter of a cell to each side, metres
        slopes = []
        for axis in range(2):
            step = np.zeros(3)
            step[axis] = half[axis]
            slope = (self.height_at(places + step) - self.height_at(places - step)) / (2 * half[axis])
            slopes.append(np.where(np.isfinite(slope), slope, 0.0))
        return np.column_stack([-slopes[0], -slopes[1], np.ones(len(places))])
