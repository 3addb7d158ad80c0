"""From the matches of many pairs to keypoints that the pairs share, as localisation pipelines need them.

A detector-free matcher places its points anew in every pair. All points of an image that fall into one cell become
one keypoint: in the bin of the cell that holds most confidence, the mean of its points weighted by confidence. Then
each match goes to the keypoints nearest to its ends, if they are near, and a keypoint keeps its best match. That is
what hloc's match_dense does, but for the mean: hloc takes the centre of the bin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree


@dataclass(frozen=True)
class Merging:
    """Pixels of the stored image. cell: at most one keypoint in each. radius: side of a bin, and how far a match's end
    may lie from its keypoint. most: keypoints of an image, by confidence; 0: all.
    """

    cell: float = 8.0
    radius: float = 2.0
    most: int = 8192


@dataclass(frozen=True, eq=False)
class MergedKeypoints:
    """points: (M, 2) float64, pixels, best first. scores: (M,), sum of the confidences of the points in each."""

    points: np.ndarray
    scores: np.ndarray


def merge_keypoints(points: np.ndarray, confidence: np.ndarray, merging: Merging) -> MergedKeypoints:
    """Merge the points (N, 2) of an image over all its pairs, with confidences (N,)."""
    if len(points) == 0:
        return MergedKeypoints(np.zeros((0, 2)), np.zeros(0))
    # Pixel centres are at integers: the first cell begins at -0.5.
    cells = np.floor((points + 0.5) / merging.cell).astype(np.int64)
    bins = np.floor((points + 0.5) / merging.radius).astype(np.int64)
    unique, which = np.unique(np.hstack([cells, bins]), axis=0, return_inverse=True)
    which = which.reshape(-1)
    scores = np.bincount(which, confidence)
    weights = np.maximum(scores, np.finfo(float).tiny)
    means = np.column_stack([np.bincount(which, confidence * points[:, axis]) / weights for axis in (0, 1)])
    order = np.argsort(-scores, kind="stable")
    _, first = np.unique(unique[order, :2], axis=0, return_index=True)  # the best bin of each cell
    best = order[np.sort(first)]
    if merging.most:
        best = best[: merging.most]
    return MergedKeypoints(means[best], scores[best])


def assign_matches(
    points0: np.ndarray,
    points1: np.ndarray,
    confidence: np.ndarray,
    keypoints0: np.ndarray,
    keypoints1: np.ndarray,
    radius: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Give matches (N, 2) to the keypoints (M, 2) of both images, one to one, the most confident first.

    Returns (matches0 (M0,) int32: keypoint of image 1, -1 for none; scores (M0,) float32: confidence, 0 for none).
    """
    matches, scores = np.full(len(keypoints0), -1, np.int32), np.zeros(len(keypoints0), np.float32)
    if 0 in (len(points0), len(keypoints0), len(keypoints1)):
        return matches, scores
    distances0, ids0 = KDTree(keypoints0).query(points0)
    distances1, ids1 = KDTree(keypoints1).query(points1)
    near = np.flatnonzero((distances0 <= radius) & (distances1 <= radius))
    taken = np.zeros(len(keypoints1), bool)
    for k in near[np.argsort(-confidence[near], kind="stable")]:
        if matches[ids0[k]] < 0 and not taken[ids1[k]]:
            matches[ids0[k]], scores[ids0[k]] = ids1[k], confidence[k]
            taken[ids1[k]] = True
    return matches, scores
