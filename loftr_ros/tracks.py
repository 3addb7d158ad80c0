"""Keypoint ids that persist from pair to pair.

LoFTR has no repeatable keypoints: the same place comes out at a slightly different point in every pair. A place is
therefore a cell of CELL x CELL pixels of the original keyframe, and has one id in every pair that the keyframe takes
part in, so that a back end can chain matches to tracks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

CELL = 8.0
Cell = tuple[int, int]


@dataclass(frozen=True)
class KeypointIds:
    """The ids of the places of one keyframe."""

    by_cell: dict[Cell, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class NamedMatches:
    """ids0, ids1: (N,) uint32, equal where a match joins two places to one; then the state after naming."""

    ids0: np.ndarray
    ids1: np.ndarray
    keypoints0: KeypointIds
    keypoints1: KeypointIds
    next_id: int


def name_matches(
    keypoints0: KeypointIds, keypoints1: KeypointIds, points0: np.ndarray, points1: np.ndarray, next_id: int
) -> NamedMatches:
    """Give ids to matches (N, 2), pixels, best first; `next_id` is the first one that was never used.

    A place keeps the id that it has. A match hands its id to the place that has none; within a keyframe an id belongs
    to one place only, so that of several matches that compete for it the best one wins.
    """
    by_cell0, by_cell1 = dict(keypoints0.by_cell), dict(keypoints1.by_cell)
    used0, used1 = set(by_cell0.values()), set(by_cell1.values())
    ids0: list[int] = []
    ids1: list[int] = []
    for cell0, cell1 in zip(_cells(points0), _cells(points1), strict=True):
        id0, id1 = by_cell0.get(cell0), by_cell1.get(cell1)
        if id0 is None:
            id0 = next_id if id1 is None or id1 in used0 else id1
            next_id += id0 == next_id
            by_cell0[cell0] = id0
            used0.add(id0)
        if id1 is None:
            id1 = next_id if id0 in used1 else id0
            next_id += id1 == next_id
            by_cell1[cell1] = id1
            used1.add(id1)
        ids0.append(id0)
        ids1.append(id1)
    return NamedMatches(
        np.array(ids0, np.uint32), np.array(ids1, np.uint32), KeypointIds(by_cell0), KeypointIds(by_cell1), next_id
    )


def _cells(points: np.ndarray) -> Iterator[Cell]:
    """The cell of each point (N, 2)."""
    columns, rows = np.floor(points / CELL).astype(int).T.tolist()
    return zip(columns, rows, strict=True)
