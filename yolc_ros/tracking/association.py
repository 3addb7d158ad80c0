"""Which detection continues which track."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from yolc_ros.tracking.covariances import determinants, inverses

_GATE = 13.8  # chi2 of a centre with two degrees of freedom, 99.9 %
_SIZE_RATIO = 0.3  # standard deviation of the logarithm of width and height between two detections (empirical)
_SIZE_GATE = 1.1  # the logarithm of three: the border of the image cuts boxes
_MISSES = 0.25  # for a hit: one detection of five is missed
_DENSITIES = 0.002, 0.1  # limits of the density of detections: one box says little, and a full image is no new object
_SLOW_SHARE = 0.8  # of objects that stand or walk (empirical)
_OTHER_CLASS = 4.0  # cost of another class, which a network gives to one of eight detections (empirical)


@dataclass(frozen=True, eq=False)
class Pairs:
    """P pairs of a track and a detection that may be one object. tracks, detections: (P,) indices. costs: (P,)."""

    tracks: np.ndarray
    detections: np.ndarray
    costs: np.ndarray

    def select(self, index: np.ndarray) -> Pairs:
        """Select by a mask (P,) bool or by indices (M,) int."""
        return Pairs(self.tracks[index], self.detections[index], self.costs[index])


@dataclass(frozen=True, eq=False)
class Shapes:
    """Boxes of N objects, pixels. centres, sides: (N, 2), sides are width and height. labels: (N,)."""

    centres: np.ndarray
    sides: np.ndarray
    labels: np.ndarray


def possible_pairs(predicted: Shapes, S: np.ndarray, S_slow: np.ndarray, is_new: np.ndarray, found: Shapes) -> Pairs:
    """Pair T predicted objects with D detected ones, with their costs.

    A cost is -2 times the logarithm of the likelihood, less a constant: the squared Mahalanobis distance of the centres
    and the log-determinant of its covariance, so that a track of unknown whereabouts takes nothing from a better known
    one, and the change of width and height. The likelihood is one on areas of the size of the track's object, so that
    near and far objects are alike.

    S: (T, 2, 2) covariance of a detected centre around the predicted one. is_new: (T,) bool, objects of unknown
    velocity: slow with the covariance S_slow as most are, or fast with S.
    """
    tracks, detections = _near(predicted.centres, S, found.centres)
    away = found.centres[detections] - predicted.centres[tracks]
    area = predicted.sides.prod(axis=1)
    distance = _distances(away, S, tracks)
    place = distance + _blur(S, area)[tracks]
    if is_new.any():
        slow = _distances(away, S_slow, tracks) + _blur(S_slow, area)[tracks]
        either = np.minimum(place - 2 * math.log(1 - _SLOW_SHARE), slow - 2 * math.log(_SLOW_SHARE))
        place = np.where(is_new[tracks], either, place)
    ratio = np.log(found.sides[detections] / predicted.sides[tracks])
    cost = place + (ratio**2).sum(axis=1) / _SIZE_RATIO**2
    cost += _OTHER_CLASS * (predicted.labels[tracks] != found.labels[detections])
    return Pairs(tracks, detections, cost).select((distance <= _GATE) & (np.abs(ratio) <= _SIZE_GATE).all(axis=1))


def _near(predicted: np.ndarray, S: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of tracks and detections whose distance in x and in y is within the gate; of rows by ascending x."""
    reach = np.sqrt(_GATE * np.diagonal(S, axis1=1, axis2=2))
    order = np.argsort(centres[:, 0], kind="stable")
    low = np.searchsorted(centres[order, 0], predicted[:, 0] - reach[:, 0], "left")
    count = np.searchsorted(centres[order, 0], predicted[:, 0] + reach[:, 0], "right") - low
    tracks = np.repeat(np.arange(len(predicted)), count)
    within = np.arange(len(tracks)) - np.repeat(np.cumsum(count) - count, count)
    detections = order[np.repeat(low, count) + within]
    near = np.abs(centres[detections, 1] - predicted[tracks, 1]) <= reach[tracks, 1]
    return tracks[near], detections[near]


def _distances(away: np.ndarray, S: np.ndarray, tracks: np.ndarray) -> np.ndarray:
    """Squared Mahalanobis distances (P,)."""
    x, y = away.T
    W = inverses(S)[tracks]
    return np.asarray(W[:, 0, 0] * x * x + (W[:, 0, 1] + W[:, 1, 0]) * x * y + W[:, 1, 1] * y * y)


def _blur(S: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Log-determinants (T,) of covariances in units of the area of the objects (T,)."""
    return np.asarray(np.log(determinants(S) / area**2))


def cost_alone(found_sides: np.ndarray, size: tuple[int, int]) -> float:
    """Cost from which a track and a detection are rather two objects: -2 log(2 pi misses/hits density).

    density: of detections, boxes on an area of the size of one. found_sides: (D, 2). size: of the image. Both in
    pixels.
    """
    density = float(np.clip(found_sides.prod(axis=1).sum() / (size[0] * size[1]), *_DENSITIES))
    return -2.0 * math.log(2.0 * math.pi * _MISSES * density)


def assign(pairs: Pairs, alone: float) -> tuple[np.ndarray, np.ndarray]:
    """Assign each track to at most one detection so that the sum of the costs is smallest.

    alone: cost of a track and a detection that both stay alone; costlier pairs never are chosen. Returns indices of
    tracks and of detections, (M,) int64 each. Pairs that share nothing with others are chosen at once, and groups that
    share no pair are solved one by one.
    """
    pairs = pairs.select(pairs.costs < alone)
    single = (np.bincount(pairs.tracks)[pairs.tracks] == 1) & (np.bincount(pairs.detections)[pairs.detections] == 1)
    tracks, detections = [pairs.tracks[single]], [pairs.detections[single]]
    rest = pairs.select(~single)
    if len(rest.costs):
        group = _groups(rest.tracks, rest.detections)
        order = np.argsort(group, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
            best = _best(rest.select(part), alone)
            tracks.append(rest.tracks[part][best])
            detections.append(rest.detections[part][best])
    return np.concatenate(tracks), np.concatenate(detections)


def _best(pairs: Pairs, alone: float) -> np.ndarray:
    """Indices of the chosen pairs of a group."""
    row_of, rows = _numbered(pairs.tracks)
    column_of, columns = _numbered(pairs.detections)
    if rows == 1 or columns == 1:
        return np.array([np.argmin(pairs.costs)])
    costs = np.full((rows, columns + rows), alone)
    costs[row_of, column_of] = pairs.costs
    cheapest = costs.argmin(axis=1)
    if len(set(cheapest.tolist())) < rows:  # else each track gets the detection that costs it least
        cheapest = _cheapest(costs)
    return np.flatnonzero(cheapest[row_of] == column_of)


def _numbered(indices: np.ndarray) -> tuple[list[int], int]:
    """Number the few different indices in ascending order; also returns how many there are."""
    values = indices.tolist()
    numbers = {value: number for number, value in enumerate(sorted(set(values)))}
    return [numbers[value] for value in values], len(numbers)


def _groups(tracks: np.ndarray, detections: np.ndarray) -> np.ndarray:
    """Number (P,) of the connected group of each possible pair: the smallest index of a track in it."""
    label = np.arange(tracks.max() + 1)
    while True:
        of_detection = np.full(detections.max() + 1, len(label))
        np.minimum.at(of_detection, detections, label[tracks])
        smaller = label.copy()
        np.minimum.at(smaller, tracks, of_detection[detections])
        if (smaller == label).all():
            return np.asarray(label[tracks])
        label = smaller


def _cheapest(costs: np.ndarray) -> np.ndarray:
    """Columns (N,) of the N rows with the smallest sum of costs (N, M), N <= M, all finite.

    Hungarian method by shortest augmenting paths (Jonker and Volgenant, "A Shortest Augmenting Path Algorithm", 1987,
    section 2), one row at a time.
    """
    count, width = costs.shape
    row_price, column_price = np.zeros(count), np.zeros(width)
    row_of = np.full(width, -1)
    for row in range(count):
        reached = np.zeros(width, bool)  # columns whose shortest path is known
        distance, before = np.full(width, np.inf), np.full(width, -1)
        current, column, length = row, -1, 0.0
        while True:
            through = length + costs[current] - row_price[current] - column_price
            shorter = ~reached & (through < distance)
            distance[shorter], before[shorter] = through[shorter], column
            column = int(np.argmin(np.where(reached, np.inf, distance)))
            length = float(distance[column])
            if row_of[column] < 0:
                break
            reached[column] = True
            current = int(row_of[column])
        row_price[row] += length
        row_price[row_of[reached]] += length - distance[reached]
        column_price[reached] -= length - distance[reached]
        while True:  # shift the rows along the path
            previous = int(before[column])
            row_of[column] = row if previous < 0 else row_of[previous]
            if previous < 0:
                break
            column = previous
    column_of = np.full(count, -1)
    column_of[row_of[row_of >= 0]] = np.flatnonzero(row_of >= 0)
    return column_of
