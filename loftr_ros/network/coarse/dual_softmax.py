"""Dual softmax: the confidence of a pair is its softmax over the row times its softmax over the column (equation 2)."""

from __future__ import annotations

import math

import torch

from loftr_ros.network.coarse.candidates import Candidates
from loftr_ros.network.coarse.similarity import similarity_tiles

SLACK = 1e-3  # margin of the first, logarithmic test against the threshold, for rounding; empirical


def dual_softmax(similarity: torch.Tensor) -> torch.Tensor:
    """Logarithm of the dual softmax, (..., L, S) to (..., L, S)."""
    return 2 * similarity - similarity.logsumexp(-1, keepdim=True) - similarity.logsumexp(-2, keepdim=True)


def dual_softmax_candidates(tokens0: torch.Tensor, tokens1: torch.Tensor, threshold: float) -> Candidates:
    """Pairs whose dual-softmax confidence exceeds the threshold, in one pass over the tiles.

    tokens: (L, C) and (S, C) float32, scaled so that their products are the similarities. The softmax over the row,
    which one tile suffices to compute, must exceed the threshold by itself, so at most 1 / threshold pairs of a row
    have to wait for the sums of their columns.
    """
    columns = tokens0.new_full((len(tokens1),), -math.inf)
    found = []
    for rows, similarity in similarity_tiles(tokens0, tokens1):
        row = similarity.logsumexp(1)
        columns = torch.logaddexp(columns, similarity.logsumexp(0))
        i, j = (similarity > row[:, None] + (math.log(threshold) - SLACK)).nonzero(as_tuple=True)
        found.append((i + rows.start, j, 2 * similarity[i, j] - row[i]))
    i, j, partial = (torch.cat(parts) for parts in zip(*found, strict=True))
    candidates = Candidates(i, j, (partial - columns[j]).exp())
    return candidates.at(candidates.confidence > threshold)
