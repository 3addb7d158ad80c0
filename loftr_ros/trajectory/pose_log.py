"""The newest poses of a long flight in arrays: 137 bytes each, where objects take kilobytes."""

from __future__ import annotations

import numpy as np


class PoseLog:
    """Poses (4, 4) by key, at most the newest `limit`; keys must grow."""

    def __init__(self, limit: int):
        if limit < 1:
            raise ValueError(f"limit must be at least 1, got {limit}")
        self._limit = limit
        # Twice the room, so that the kept ones move to the front only once for `limit` poses. Memory that was never
        # written costs nothing.
        self._keys = np.zeros(2 * limit, np.int64)
        self._matrices = np.zeros((2 * limit, 4, 4))
        self._is_metric = np.zeros(2 * limit, bool)
        self._end = 0

    def __len__(self) -> int:
        """Count the poses that are kept."""
        return min(self._end, self._limit)

    def __contains__(self, key: object) -> bool:
        """Tell whether the pose of a key is kept."""
        return isinstance(key, int) and self._find(key) is not None

    @property
    def keys(self) -> np.ndarray:
        """Keys (N,) int64 of the kept poses, in order; a view that the next `append` may change."""
        return self._keys[self._kept]

    @property
    def matrices(self) -> np.ndarray:
        """The kept poses (N, 4, 4) float64; a view that the next `append` may change."""
        return self._matrices[self._kept]

    def append(self, key: int, matrix: np.ndarray, *, is_metric: bool) -> None:
        """Add a pose (4, 4). Raises ValueError for a key that is not larger than the last one."""
        if self._end and key <= self._keys[self._end - 1]:
            raise ValueError(f"keys must grow: {key} after {self._keys[self._end - 1]}")
        if self._end == len(self._keys):
            for array in (self._keys, self._matrices, self._is_metric):
                array[: self._limit] = array[self._limit :]
            self._end = self._limit
        self._keys[self._end], self._matrices[self._end], self._is_metric[self._end] = key, matrix, is_metric
        self._end += 1

    def get(self, key: int) -> tuple[np.ndarray, bool]:
        """Return a copy of a pose (4, 4), and whether it is metric. Raises KeyError for a key that is not kept."""
        index = self._find(key)
        if index is None:
            raise KeyError(key)
        return self._matrices[index].copy(), bool(self._is_metric[index])

    @property
    def _kept(self) -> slice:
        return slice(self._end - len(self), self._end)

    def _find(self, key: int) -> int | None:
        index = self._end - len(self) + int(np.searchsorted(self.keys, key))
        return index if index < self._end and self._keys[index] == key else None
