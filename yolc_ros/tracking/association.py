"""Which detection continues which track."""

from __future__ import annotations

import math

import numpy as np

_GATE = 13.8  # chi2 of a centre with two degrees of freedom, 99.9 %
_SIZE_RATIO = 0.3  # standard deviation of the logarithm of width and height between two detections (empirical)
_SIZE_GATE = 1.1  # the logarithm of three: the border of the image cuts boxes
_MISSES = 0.25  # for a hit: one detection of five is missed
_DENSITIES = 0.002, 0.1  # limits of the density of detections: one box says little, and a full image is no new object
_OTHER_CLASS = 4.0  # cost of another class, which a network gives to one of eight detections (empirical)


def association_costs(
    predicted: np.ndarray,
    S: np.ndarray,
    sides: np.ndarray,
    labels: np.ndarray,
    *,
    centres: np.ndarray,
    found_sides: np.ndarray,
    found_labels: np.ndarray,
) -> np.ndarray:
    """Cost (T, D) of each pair of a track and a detection, infinite where they cannot be one object.

    It is -2 times the logarithm of the likelihood, less a constant: the squared Mahalanobis distance of the centres and
    the log-determinant of its covariance, so that a track of unknown whereabouts takes nothing from a better known one,
    and the change of width and height. The likelihood is one on areas of the size of the track's object, so that near
    and far objects are alike.

    predicted: (T, 2) centres of the tracks, with covariance S (T, 2, 2). sides: (T, 2) width and height. labels: (T,).
    centres, found_sides, found_labels: (D, 2), (D, 2) and (D,) of the detections. Everything in pixels.
    """
    away = centres[None] - predicted[:, None]
    distance = np.einsum("tdi,tij,tdj->td", away, np.linalg.inv(S), away)
    ratio = np.log(found_sides)[None] - np.log(sides)[:, None]
    blur = np.log(np.linalg.det(S) / sides.prod(axis=1) ** 2)
    cost = distance + blur[:, None] + (ratio**2).sum(axis=2) / _SIZE_RATIO**2
    cost += _OTHER_CLASS * (labels[:, None] != found_labels[None])
    cost[(distance > _GATE) | (np.abs(ratio) > _SIZE_GATE).any(axis=2)] = np.inf
    return cost


def cost_alone(found_sides: np.ndarray, size: tuple[int, int]) -> float:
    """Cost from which a track and a detection are rather two objects: -2 log(2 pi misses/hits density).

    density: of detections, boxes on an area of the size of one. found_sides: (D, 2). size: of the image. Both in
    pixels.
    """
    density = float(np.clip(found_sides.prod(axis=1).sum() / (size[0] * size[1]), *_DENSITIES))
    return -2.0 * math.log(2.0 * math.pi * _MISSES * density)


def assign(costs: np.ndarray, alone: float) -> tuple[np.ndarray, np.ndarray]:
    """Assign each track to at most one detection so that the sum of the costs is smallest; infinite costs never.

    costs: (T, D). alone: cost of a track and a detection that both stay alone. Returns indices of tracks and of
    detections, (M,) int64 each. Groups of tracks and detections that share no pair are solved one by one.
    """
    tracks, detections = np.nonzero(costs < alone)
    group = _groups(tracks, detections, costs.shape)
    pairs = []
    for number in np.unique(group).tolist():
        here = group == number
        rows, columns = np.unique(tracks[here]), np.unique(detections[here])
        part = np.minimum(costs[np.ix_(rows, columns)], alone)
        if part.size == 1:
            pairs.append((rows[0], columns[0]))
            continue
        column_of = _cheapest(np.concatenate([part, np.full((len(rows), len(rows)), alone)], axis=1))
        pairs += [
            (row, columns[column])
            for row, index, column in zip(rows, range(len(rows)), column_of, strict=True)
            if column < len(columns) and part[index, column] < alone
        ]
    chosen = np.array(pairs, np.int64).reshape(-1, 2)
    return chosen[:, 0], chosen[:, 1]


def _groups(tracks: np.ndarray, detections: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Number (P,) of the connected group of each possible pair: the smallest index of a track in it."""
    label = np.arange(shape[0])
    while True:
        of_detection = np.full(shape[1], shape[0])
        np.minimum.at(of_detection, detections, label[tracks])
        smaller = label.copy()
        np.minimum.at(smaller, tracks, of_detection[detections])
        if (smaller == label).all():
            return label[tracks]
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
