"""Optimal transport with dustbins by Sinkhorn iterations in the log domain (Sarlin et al. 2020, section 3.2)."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from loftr_ros.network.coarse.candidates import Candidates, maximum_by_id
from loftr_ros.network.coarse.similarity import MASKED, similarity_tiles


def optimal_transport(
    similarity: torch.Tensor,
    dustbin: torch.Tensor,
    iterations: int,
    mask0: torch.Tensor | None = None,
    mask1: torch.Tensor | None = None,
    padding_has_mass: bool = False,
) -> torch.Tensor:
    """Logarithm of the assignment.

    similarity: (B, L, S), to which a last row and column of the score `dustbin` are appended. Each cell has mass 1, and
    each dustbin the total mass of the cells of the other image. masks: (B, L) and (B, S) bool; masked cells have no
    mass, so that the result is that of the pair without padding. With padding_has_mass they have mass 1 too, which only
    the dustbins can take, and the dustbins count them.
    Returns (B, L + 1, S + 1); the rows sum to about 1, the columns to 1, except for the dustbins.
    """
    B, L, S = similarity.shape
    scores = torch.cat([torch.cat([similarity, dustbin.expand(B, L, 1)], 2), dustbin.expand(B, 1, S + 1)], 1)
    valid0 = similarity.new_ones(B, L, dtype=torch.bool) if mask0 is None else mask0
    valid1 = similarity.new_ones(B, S, dtype=torch.bool) if mask1 is None else mask1
    if padding_has_mass:
        is_pair = functional.pad(valid0[:, :, None] & valid1[:, None], (0, 1, 0, 1), value=True)
        scores = scores.masked_fill(~is_pair, MASKED)
        valid0, valid1 = torch.ones_like(valid0), torch.ones_like(valid1)
    log_mass0 = _log_mass(valid0, valid1)
    log_mass1 = _log_mass(valid1, valid0)
    scores = scores + (log_mass0.clamp(max=0)[:, :, None] + log_mass1.clamp(max=0)[:, None]).clamp(min=MASKED)
    u = torch.zeros_like(log_mass0)
    v = torch.zeros_like(log_mass1)
    for _ in range(iterations):
        u = log_mass0 - torch.logsumexp(scores + v[:, None], 2)
        v = log_mass1 - torch.logsumexp(scores + u[:, :, None], 1)
    return scores + u[:, :, None] + v[:, None]


def _log_mass(valid: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Log mass (B, L + 1) from masks (B, L) and (B, S): 0 for a cell, MASKED for padding, log S for the dustbin."""
    cells = torch.zeros(valid.shape, device=valid.device).masked_fill(~valid, MASKED)
    dustbin = other.sum(1, keepdim=True).clamp(min=1).log()
    return torch.cat([cells, dustbin], 1)


def optimal_transport_candidates(
    tokens0: torch.Tensor,
    tokens1: torch.Tensor,
    dustbin: torch.Tensor,
    iterations: int,
    threshold: float,
    prefilter: bool,
    padded0: int = 0,
    padded1: int = 0,
) -> Candidates:
    """Pairs whose assignment exceeds the threshold; the result of `optimal_transport`, computed in tiles.

    Only the dual variables are stored; each iteration computes the tiles again. tokens: (L, C) and (S, C) float32.
    prefilter: drop rows and columns whose best partner is the dustbin before the mutual test. padded0, padded1: numbers
    of padded cells with mass, which are not among the tokens.
    """
    L, S = len(tokens0), len(tokens1)
    u, v = tokens0.new_zeros(L), tokens0.new_zeros(S)
    v_dustbin, v_padded = tokens0.new_zeros(()), tokens0.new_zeros(())
    for _ in range(iterations):
        u_padded = -dustbin - v_dustbin  # a padded cell exchanges mass with the dustbin only
        of_columns = torch.logaddexp(v.logsumexp(0), v_padded + _log(padded1))
        u_dustbin = math.log(S + padded1) - dustbin - torch.logaddexp(of_columns, v_dustbin)
        columns = (dustbin + u_dustbin).expand(S)
        for rows, scores in similarity_tiles(tokens0, tokens1):
            u[rows] = -torch.logaddexp((scores + v).logsumexp(1), dustbin + v_dustbin)
            columns = torch.logaddexp(columns, (scores + u[rows, None]).logsumexp(0))
        v = -columns
        v_padded = -dustbin - u_dustbin
        of_rows = torch.logaddexp(u.logsumexp(0), u_padded + _log(padded0))
        v_dustbin = math.log(L + padded0) - dustbin - torch.logaddexp(of_rows, u_dustbin)
    found = []
    for rows, scores in similarity_tiles(tokens0, tokens1):
        log_assignment = scores + u[rows, None] + v
        i, j = (log_assignment > math.log(threshold)).nonzero(as_tuple=True)
        found.append((i + rows.start, j, log_assignment[i, j].exp()))
    i, j, confidence = (torch.cat(parts) for parts in zip(*found, strict=True))
    candidates = Candidates(i, j, confidence)
    if prefilter:
        row_wins = maximum_by_id(candidates.i, candidates.confidence, L) >= (dustbin + u + v_dustbin).exp()
        column_wins = maximum_by_id(candidates.j, candidates.confidence, S) >= (dustbin + u_dustbin + v).exp()
        candidates = candidates.at(row_wins[candidates.i] & column_wins[candidates.j])
    return candidates


def _log(count: int) -> float:
    return math.log(count) if count else -math.inf
