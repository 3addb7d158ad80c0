"""The state of the tracks between two images, as an immutable value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from yolc_ros.boxes import ScoredBoxes
from yolc_ros.tracking.filter import Motion, concatenate, correct, first_motion
from yolc_ros.tracking.tracks import TRAIL

_SIZE_GAIN = 0.4  # share of a detection in the smoothed width and height (empirical)


@dataclass(frozen=True, eq=False)
class TrackState:
    """State of N tracks; all arrays are parallel.

    ids: (N,) int64. motion: of the centres. sides: (N, 2) float64, smoothed width and height, pixels. votes: (N, C)
    float64, sums of scores by class. scores: (N,) float64, of the last detection. hits: (N,) int64, detections.
    first_ns, last_ns: (N,) int64, stamps of the first and the last detection. trails: (N, TRAIL, 2) float64, see
    `Tracks`.
    """

    ids: np.ndarray
    motion: Motion
    sides: np.ndarray
    votes: np.ndarray
    scores: np.ndarray
    hits: np.ndarray
    first_ns: np.ndarray
    last_ns: np.ndarray
    trails: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def sizes(self) -> np.ndarray:
        """(N,) float64, root of the area, pixels."""
        return np.sqrt(self.sides.prod(axis=1))

    @property
    def labels(self) -> np.ndarray:
        """(N,) int64, the class with the largest sum of scores."""
        return self.votes.argmax(axis=1)

    @property
    def boxes(self) -> np.ndarray:
        """(N, 4) float64 x0, y0, x1, y1, pixels."""
        centres, half = self.motion.mean[:, :2], self.sides / 2
        return np.concatenate([centres - half, centres + half], axis=1)

    def select(self, index: np.ndarray) -> TrackState:
        """Select by a mask (N,) bool or by indices (M,) int."""
        values: dict[str, Any] = {
            name: each.select(index) if isinstance(each, Motion) else each[index] for name, each in vars(self).items()
        }
        return TrackState(**values)


def centres_and_sides(found: ScoredBoxes) -> tuple[np.ndarray, np.ndarray]:
    """Centres (N, 2) and width and height (N, 2) of boxes, float64, pixels."""
    boxes = found.boxes.astype(np.float64)
    return (boxes[:, 2:] + boxes[:, :2]) / 2, boxes[:, 2:] - boxes[:, :2]


def begin(found: ScoredBoxes, ids: np.ndarray, stamp_ns: int, classes: int) -> TrackState:
    """Begin a track with each of the N detections of an image. ids: (N,)."""
    centres, sides = centres_and_sides(found)
    return TrackState(
        ids=ids,
        motion=first_motion(centres, np.sqrt(sides.prod(axis=1))),
        sides=sides,
        votes=_votes(found, classes),
        scores=found.scores.astype(np.float64),
        hits=np.ones(len(found), np.int64),
        first_ns=np.full(len(found), stamp_ns, np.int64),
        last_ns=np.full(len(found), stamp_ns, np.int64),
        trails=np.full((len(found), TRAIL, 2), np.nan),
    )


def correct_tracks(state: TrackState, which: np.ndarray, found: ScoredBoxes, stamp_ns: int) -> TrackState:
    """Continue the tracks `which` (M,) by M detections of an image."""
    centres, sides = centres_and_sides(found)
    part = correct(state.motion.select(which), centres, np.sqrt(sides.prod(axis=1)))
    mean, covariance = state.motion.mean.copy(), state.motion.covariance.copy()
    mean[which], covariance[which] = part.mean, part.covariance
    smoothed, votes, scores, hits, last = (
        each.copy() for each in (state.sides, state.votes, state.scores, state.hits, state.last_ns)
    )
    smoothed[which] += _SIZE_GAIN * (sides - smoothed[which])
    votes[which] += _votes(found, votes.shape[1])
    scores[which], last[which] = found.scores, stamp_ns
    hits[which] += 1
    return replace(
        state, motion=Motion(mean, covariance), sides=smoothed, votes=votes, scores=scores, hits=hits, last_ns=last
    )


def join(first: TrackState, second: TrackState) -> TrackState:
    """Put two sets of tracks behind each other."""
    values: dict[str, Any] = {
        name: concatenate(each, other) if isinstance(each, Motion) else np.concatenate([each, other])
        for (name, each), other in zip(vars(first).items(), vars(second).values(), strict=True)
    }
    return TrackState(**values)


def lengthen_trails(state: TrackState) -> TrackState:
    """Add the newest centres to the trails."""
    return replace(state, trails=np.concatenate([state.trails[:, 1:], state.motion.mean[:, None, :2]], axis=1))


def _votes(found: ScoredBoxes, classes: int) -> np.ndarray:
    """Scores (N, classes) by class."""
    votes = np.zeros((len(found), classes))
    votes[np.arange(len(found)), found.labels] = found.scores
    return votes
