"""Keypoint ids that persist from pair to pair, so that a back end can chain matches to tracks.

LoFTR has no repeatable keypoints: the same scene point gets a slightly different image point in every pair. Points of a
keyframe within a radius of each other are therefore one place: its position is their running mean, and it keeps one id
in all pairs of the keyframe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from loftr_ros.tracks.neighbours import nearest_within, thin_out

RADIUS = 4.0  # pixels of the original image: half a coarse cell of LoFTR where images are not shrunk
REPEATED_KEYPOINT_RADIUS = 1e-3  # pixels: only rounding separates points of one keypoint


@dataclass(frozen=True, eq=False)
class KeypointIds:
    """The places of one keyframe; no two have the same id.

    ids: (M,) uint32. points: (M, 2) float64, pixels of the original image: means of the merged points. counts: (M,)
    int64, number of merged points.
    """

    ids: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint32))
    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def __len__(self) -> int:
        """Count the places."""
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        """Memory that keeping this costs."""
        return self.ids.nbytes + self.points.nbytes + self.counts.nbytes


def longest_first(keypoints: Mapping[int, KeypointIds], keyframe_id: int) -> np.ndarray:
    """Return the places (K, 2) float64 of a keyframe, those that the most keyframes have in common first.

    keypoints: of the kept keyframes, by keyframe id.
    """
    here = keypoints[keyframe_id]
    length = np.zeros(len(here), np.int64)
    for other in keypoints.values():
        length += np.isin(here.ids, other.ids)
    return here.points[np.argsort(-length, kind="stable")]


@dataclass(frozen=True, eq=False)
class NamedMatches:
    """Matches with ids, and the keypoints after naming.

    ids0, ids1: (N,) uint32, equal where a match joins two places.
    """

    ids0: np.ndarray
    ids1: np.ndarray
    keypoints0: KeypointIds
    keypoints1: KeypointIds
    next_id: int


def name_matches(
    keypoints0: KeypointIds,
    keypoints1: KeypointIds,
    points0: np.ndarray,
    points1: np.ndarray,
    next_id: int,
    *,
    radius: float = RADIUS,
    inlier: np.ndarray | None = None,
) -> NamedMatches:
    """Give ids to matches (N, 2), pixels, best first; `next_id` is the first unused id.

    A place keeps its id. A match gives the id of one place to the other if that has none; within a keyframe an id
    belongs to one place only, so the best of several competing matches wins. inlier: (N,) bool, None where no estimator
    ran. An outlier joins nothing and makes no place: it gets the id of the known place it lies on, else an id that is
    not used again. Raises ValueError for a radius that is not positive.
    """
    if not radius > 0:
        raise ValueError(f"radius must be positive, got {radius}")
    inside = np.ones(len(points0), bool) if inlier is None else np.asarray(inlier, bool)
    places0, places1 = (
        _merge(keypoints, np.asarray(points, np.float64)[inside], radius)
        for keypoints, points in ((keypoints0, points0), (keypoints1, points1))
    )
    names0, names1 = _names(keypoints0, places0), _names(keypoints1, places1)
    next_id = _join(names0, names1, places0.of_points, places1.of_points, next_id)
    after0, after1 = _named(places0, names0), _named(places1, names1)

    ids0, ids1 = (np.zeros(len(points0), np.uint32) for _ in range(2))
    ids0[inside] = after0.ids[places0.of_points]
    ids1[inside] = after1.ids[places1.of_points]
    for ids, after, points in ((ids0, after0, points0), (ids1, after1, points1)):
        known = nearest_within(np.asarray(points)[~inside], after.points, radius)
        fresh = next_id + np.cumsum(known < 0) - 1
        ids[~inside] = np.where(known < 0, fresh, after.ids[known] if len(after) else 0)
        next_id += int((known < 0).sum())
    return NamedMatches(ids0, ids1, after0, after1, next_id)


@dataclass(frozen=True, eq=False)
class _Places:
    """Places of a keyframe after merging, old ones first. of_points: (N,), index of the place of each point."""

    points: np.ndarray
    counts: np.ndarray
    of_points: np.ndarray


def _merge(keypoints: KeypointIds, points: np.ndarray, radius: float) -> _Places:
    """Merge points (N, 2) into their nearest places; the others become new places, in their order."""
    place = nearest_within(points, keypoints.points, radius)
    new = np.flatnonzero(place < 0)
    representative = thin_out(points[new], radius)
    _, place[new] = np.unique(representative, return_inverse=True)
    place[new] += len(keypoints)
    total = len(keypoints) + int((representative == np.arange(len(new))).sum())
    added = np.bincount(place, minlength=total)
    counts = added.copy()
    counts[: len(keypoints)] += keypoints.counts
    sums = np.zeros((total, 2))
    sums[: len(keypoints)] = keypoints.points * keypoints.counts[:, None]
    np.add.at(sums, place, points)
    return _Places(sums / counts[:, None], counts, place)


def _names(keypoints: KeypointIds, places: _Places) -> list[int]:
    """Return the id of each place, -1 where it has none."""
    return [*keypoints.ids.tolist(), *[-1] * (len(places.counts) - len(keypoints))]


def _join(names0: list[int], names1: list[int], places0: np.ndarray, places1: np.ndarray, next_id: int) -> int:
    """Fill the ids of the places (N,) that matches join, best match first; returns the next id."""
    used0, used1 = set(names0), set(names1)
    for place0, place1 in zip(places0.tolist(), places1.tolist(), strict=True):
        name0, name1 = names0[place0], names1[place1]
        if name0 < 0:
            name0 = next_id if name1 < 0 or name1 in used0 else name1
            next_id += name0 == next_id
            names0[place0] = name0
            used0.add(name0)
        if name1 < 0:
            name1 = next_id if name0 in used1 else name0
            next_id += name1 == next_id
            names1[place1] = name1
            used1.add(name1)
    return next_id


def _named(places: _Places, names: list[int]) -> KeypointIds:
    return KeypointIds(np.array(names, np.uint32), places.points, places.counts)
