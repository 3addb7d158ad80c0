"""Merges the matches of many pairs into keypoints that the pairs share, for localisation pipelines.

A detector-free matcher finds different points of an image in every pair. All points of an image in one cell become one
keypoint: the confidence-weighted mean of the points in the cell's bin with the largest sum of confidences. Each match
is then assigned to the keypoints nearest to its ends, if they are within a radius, and a keypoint keeps its most
confident match. hloc's match_dense does the same, except that its keypoint is the centre of the bin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree


@dataclass(frozen=True)
class MergingOptions:
    """Lengths in pixels of the stored image.

    cell: side of a cell, which holds at most one keypoint. radius: side of a bin, and largest distance of a match's end
    from its keypoint. max_keypoints: the most confident keypoints of an image that are kept; 0: all.
    """

    cell: float = 8.0
    radius: float = 2.0
    max_keypoints: int = 8192


@dataclass(frozen=True, eq=False)
class MergedKeypoints:
    """points: (M, 2) float64, pixels, highest score first. scores: (M,), sum of the merged points' confidences."""

    points: np.ndarray
    scores: np.ndarray


def merge_keypoints(points: np.ndarray, confidence: np.ndarray, options: MergingOptions) -> MergedKeypoints:
    """Merge the points (N, 2) of an image from all its pairs, with confidences (N,)."""
    if len(points) == 0:
        return MergedKeypoints(np.zeros((0, 2)), np.zeros(0))
    # Pixel centres are at integers: the first cell begins at -0.5.
    cells = np.floor((points + 0.5) / options.cell).astype(np.int64)
    bins = np.floor((points + 0.5) / options.radius).astype(np.int64)
    unique, which = np.unique(np.hstack([cells, bins]), axis=0, return_inverse=True)
    which = which.reshape(-1)
    scores = np.bincount(which, confidence)
    weights = np.maximum(scores, np.finfo(float).tiny)
    means = np.column_stack([np.bincount(which, confidence * points[:, axis]) / weights for axis in (0, 1)])
    order = np.argsort(-scores, kind="stable")
    _, first = np.unique(unique[order, :2], axis=0, return_index=True)  # the best bin of each cell
    best = order[np.sort(first)]
    if options.max_keypoints:
        best = best[: options.max_keypoints]
    return MergedKeypoints(means[best], scores[best])


def assign_matches(
    points0: np.ndarray,
    points1: np.ndarray,
    confidence: np.ndarray,
    keypoints0: np.ndarray,
    keypoints1: np.ndarray,
    radius: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Assign matches (N, 2) with confidences (N,) to the keypoints (M0, 2) and (M1, 2), one to one.

    The most confident match comes first. Returns matches0 (M0,) int32, the keypoint of image 1, -1 for none; and scores
    (M0,) float32, the confidence, 0 for none.
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
