"""Coarse matches: confidences of all pairs of cells, and the mutual best among them (section 3.3)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from loftr_ros.network.config import MatchingConfig, SelectionConfig
from loftr_ros.network.projection import project

TILE_ELEMENTS = 2**20  # of the similarity that inference holds at a time (4 MiB)
TILE_ROWS = 256  # at least, for fewer make a slow matrix product (on large maps: 32 MiB at 32,000 cells)
SLACK = 1e-3  # of the first, logarithmic test against the threshold, for rounding
MASKED = -1e9  # a logarithm that is as good as minus infinity and still has finite differences


@dataclass(frozen=True)
class CoarseMatches:
    """Pairs of cells: pair `b` of the batch, cell `i` of image 0 and cell `j` of image 1 (row-major), each (N,) int64.

    confidence: (N,) float32. At most one match for each cell, ordered by b, then i.
    """

    b: torch.Tensor
    i: torch.Tensor
    j: torch.Tensor
    confidence: torch.Tensor


def dual_softmax(similarity: torch.Tensor) -> torch.Tensor:
    """Logarithm of softmax over rows times softmax over columns (equation 2). (..., L, S) to (..., L, S)."""
    return 2 * similarity - similarity.logsumexp(-1, keepdim=True) - similarity.logsumexp(-2, keepdim=True)


def optimal_transport(
    similarity: torch.Tensor,
    dustbin: torch.Tensor,
    iterations: int,
    mask0: torch.Tensor | None = None,
    mask1: torch.Tensor | None = None,
) -> torch.Tensor:
    """Logarithm of the assignment by Sinkhorn iterations in the log domain (Sarlin et al. 2020, section 3.2).

    similarity: (B, L, S); a last row and column of the score `dustbin` is appended. Each cell has mass 1, the dustbin
    that of all cells of the other image. masks: (B, L) and (B, S) bool; what they mask has no mass: the result is that
    of the pair without padding.
    Returns (B, L + 1, S + 1): the rows sum to about 1, the columns to 1 but for the last.
    """
    B, L, S = similarity.shape
    scores = torch.cat([torch.cat([similarity, dustbin.expand(B, L, 1)], 2), dustbin.expand(B, 1, S + 1)], 1)
    valid0 = similarity.new_ones(B, L, dtype=torch.bool) if mask0 is None else mask0
    valid1 = similarity.new_ones(B, S, dtype=torch.bool) if mask1 is None else mask1
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
    """(B, L) and (B, S) to (B, L + 1): 0 for a cell, MASKED for padding, log S for the dustbin."""
    cells = torch.zeros(valid.shape, device=valid.device).masked_fill(~valid, MASKED)
    dustbin = other.sum(1, keepdim=True).clamp(min=1).log()
    return torch.cat([cells, dustbin], 1)


class CoarseMatching(nn.Module):
    """Confidence that cell i of image 0 and cell j of image 1 show the same place, and the matches it gives."""

    def __init__(self, config: MatchingConfig) -> None:
        super().__init__()
        self.config = config
        if config.kind == "optimal_transport":
            self.bin_score = nn.Parameter(torch.tensor(1.0))

    def similarity(self, coarse0: torch.Tensor, coarse1: torch.Tensor) -> torch.Tensor:
        """Scaled inner products in float32: (..., L, C) and (..., S, C) to (..., L, S)."""
        with torch.autocast(coarse0.device.type, enabled=False):
            return (coarse0.float() * self._scale(coarse0.shape[-1])) @ coarse1.float().mT

    def _scale(self, channels: int) -> float:
        return 1 / (channels * (self.config.temperature if self.config.kind == "dual_softmax" else 1))

    def log_assignment(
        self,
        coarse0: torch.Tensor,
        coarse1: torch.Tensor,
        mask0: torch.Tensor | None = None,
        mask1: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Log assignment of optimal transport with its dustbins, for training: (B, L + 1, S + 1) float32.

        coarse: (B, h, w, C), masks: (B, h, w) bool.
        """
        masks = [None if mask is None else mask.flatten(1) for mask in (mask0, mask1)]
        similarity = self.similarity(coarse0.flatten(1, 2), coarse1.flatten(1, 2))
        return optimal_transport(similarity, self.bin_score.float(), self.config.sinkhorn_iterations, *masks)

    def log_confidence(
        self,
        coarse0: torch.Tensor,
        coarse1: torch.Tensor,
        mask0: torch.Tensor | None = None,
        mask1: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Log confidence of all pairs of cells, differentiable, for training: (B, L, S) float32.

        coarse: (B, h, w, C), masks: (B, h, w) bool. Pairs with padding get about -1e9.
        """
        if self.config.kind == "optimal_transport":
            return self.log_assignment(coarse0, coarse1, mask0, mask1)[:, :-1, :-1]
        similarity = self.similarity(coarse0.flatten(1, 2), coarse1.flatten(1, 2))
        if mask0 is None and mask1 is None:
            return dual_softmax(similarity)
        valid = torch.ones_like(similarity[:1, :1, :1], dtype=torch.bool)
        if mask0 is not None:
            valid = valid & mask0.flatten(1)[:, :, None]
        if mask1 is not None:
            valid = valid & mask1.flatten(1)[:, None]
        return dual_softmax(similarity.masked_fill(~valid, MASKED)).masked_fill(~valid, MASKED)

    @torch.no_grad()
    def forward(
        self,
        coarse0: torch.Tensor,
        coarse1: torch.Tensor,
        mask0: torch.Tensor | None,
        mask1: torch.Tensor | None,
        selection: SelectionConfig,
    ) -> CoarseMatches:
        """Find the mutual best pairs of cells above the threshold, away from the border. Never stores (L, S).

        coarse: (B, h, w, C), masks: (B, h, w) bool, True in a rectangle at the top left.
        """
        pairs = []
        for b in range(len(coarse0)):
            side0 = _Side.of(coarse0[b], None if mask0 is None else mask0[b], selection.border)
            side1 = _Side.of(coarse1[b], None if mask1 is None else mask1[b], selection.border)
            pairs.append(self._match_pair(b, side0, side1, selection))
        return CoarseMatches(*(torch.cat(columns) for columns in zip(*pairs, strict=True)))

    def _match_pair(
        self, b: int, side0: _Side, side1: _Side, selection: SelectionConfig
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        tokens0 = side0.tokens.float() * self._scale(side0.tokens.shape[-1])
        tokens1 = side1.tokens.float()
        if not len(tokens0) or not len(tokens1):
            candidates = Candidates.none(tokens0.device)
        elif self.config.kind == "dual_softmax":
            candidates = dual_softmax_candidates(tokens0, tokens1, selection.threshold)
        else:
            candidates = optimal_transport_candidates(
                tokens0,
                tokens1,
                self.bin_score.float(),
                self.config.sinkhorn_iterations,
                selection.threshold,
                self.config.dustbin_prefilter,
            )
        best = candidates.at(candidates.mutual_best(len(tokens0), len(tokens1)))
        best = best.at(side0.inner[best.i] & side1.inner[best.j])
        if selection.max_matches and len(best.i) > selection.max_matches:
            strongest = best.confidence.argsort(descending=True, stable=True)[: selection.max_matches]
            best = best.at(strongest.sort().values)
        return torch.full_like(best.i, b), side0.cells[best.i], side1.cells[best.j], best.confidence


@dataclass(frozen=True)
class Candidates:
    """Pairs (i, j) whose confidence exceeds the threshold, ordered by i, then j. Each (N,)."""

    i: torch.Tensor
    j: torch.Tensor
    confidence: torch.Tensor

    @staticmethod
    def none(device: torch.device) -> Candidates:
        """No pair."""
        empty = torch.zeros(0, dtype=torch.int64, device=device)
        return Candidates(empty, empty, torch.zeros(0, device=device))

    def at(self, index: torch.Tensor) -> Candidates:
        """Those that a boolean mask or an index names."""
        return Candidates(self.i[index], self.j[index], self.confidence[index])

    def mutual_best(self, rows: int, columns: int) -> torch.Tensor:
        """(N,) bool: the best of its row and of its column. Of equals the first counts.

        What beats a candidate is itself above the threshold, so the list suffices.
        """
        best = (self.confidence == _best_of(self.i, self.confidence, rows)[self.i]) & (
            self.confidence == _best_of(self.j, self.confidence, columns)[self.j]
        )
        for ids, count in ((self.i, rows), (self.j, columns)):
            best = best & _first_of(ids, best, count)
        return best


def _best_of(ids: torch.Tensor, values: torch.Tensor, count: int) -> torch.Tensor:
    return values.new_zeros(count).scatter_reduce(0, ids, values, "amax")


def _first_of(ids: torch.Tensor, among: torch.Tensor, count: int) -> torch.Tensor:
    """(N,) bool: the first entry of its id among those marked."""
    place = torch.where(among, torch.arange(len(ids), device=ids.device), len(ids))
    return place == place.new_full((count,), len(ids)).scatter_reduce(0, ids, place, "amin")[ids]


@dataclass(frozen=True)
class _Side:
    """One image of a pair without its padding. tokens: (N, C); cells: (N,) numbers in the map; inner: (N,) bool."""

    tokens: torch.Tensor
    cells: torch.Tensor
    inner: torch.Tensor

    @staticmethod
    def of(coarse: torch.Tensor, mask: torch.Tensor | None, border: int) -> _Side:
        height, width, channels = coarse.shape
        bottom, right = (height, width) if mask is None else (mask.any(1).sum(), mask.any(0).sum())
        y = torch.arange(height, device=coarse.device)[:, None]
        x = torch.arange(width, device=coarse.device)
        inner = (y >= border) & (y < bottom - border) & (x >= border) & (x < right - border)
        tokens = coarse.reshape(-1, channels)
        cells = torch.arange(len(tokens), device=coarse.device)
        if mask is not None:
            cells = cells[mask.flatten()]
            tokens = tokens[cells]
        return _Side(tokens, cells, inner.flatten()[cells])


def _tiles(tokens0: torch.Tensor, tokens1: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
    """Similarity of some rows after the other: (rows, (n, S))."""
    step = max(TILE_ROWS, TILE_ELEMENTS // len(tokens1))
    for start in range(0, len(tokens0), step):
        rows = slice(start, min(start + step, len(tokens0)))
        yield rows, project(tokens0[rows], tokens1)


def dual_softmax_candidates(tokens0: torch.Tensor, tokens1: torch.Tensor, threshold: float) -> Candidates:
    """Pairs whose dual-softmax confidence exceeds the threshold, in one pass over the tiles.

    tokens: (L, C) and (S, C) float32, scaled so that their products are the similarities. The confidence is the row's
    softmax times the column's; so a pair above the threshold is above it in its row's softmax alone, which a tile
    knows: at most 1 / threshold pairs of a row wait for their column's sum.
    """
    columns = tokens0.new_full((len(tokens1),), -math.inf)
    found = []
    for rows, similarity in _tiles(tokens0, tokens1):
        row = similarity.logsumexp(1)
        columns = torch.logaddexp(columns, similarity.logsumexp(0))
        i, j = (similarity > row[:, None] + (math.log(threshold) - SLACK)).nonzero(as_tuple=True)
        found.append((i + rows.start, j, 2 * similarity[i, j] - row[i]))
    i, j, partial = (torch.cat(parts) for parts in zip(*found, strict=True))
    candidates = Candidates(i, j, (partial - columns[j]).exp())
    return candidates.at(candidates.confidence > threshold)


def optimal_transport_candidates(
    tokens0: torch.Tensor,
    tokens1: torch.Tensor,
    dustbin: torch.Tensor,
    iterations: int,
    threshold: float,
    prefilter: bool,
) -> Candidates:
    """Pairs whose assignment by optimal transport exceeds the threshold; the same as `optimal_transport`, in tiles.

    Only the dual variables are kept; each iteration computes the tiles anew. tokens: (L, C) and (S, C) float32.
    prefilter: drop rows and columns whose best partner is the dustbin before the mutual test.
    """
    L, S = len(tokens0), len(tokens1)
    u, v = tokens0.new_zeros(L), tokens0.new_zeros(S)
    v_dustbin = tokens0.new_zeros(())
    for _ in range(iterations):
        u_dustbin = math.log(S) - dustbin - torch.logaddexp(v.logsumexp(0), v_dustbin)
        columns = (dustbin + u_dustbin).expand(S)
        for rows, scores in _tiles(tokens0, tokens1):
            u[rows] = -torch.logaddexp((scores + v).logsumexp(1), dustbin + v_dustbin)
            columns = torch.logaddexp(columns, (scores + u[rows, None]).logsumexp(0))
        v = -columns
        v_dustbin = math.log(L) - dustbin - torch.logaddexp(u.logsumexp(0), u_dustbin)
    found = []
    for rows, scores in _tiles(tokens0, tokens1):
        log_assignment = scores + u[rows, None] + v
        i, j = (log_assignment > math.log(threshold)).nonzero(as_tuple=True)
        found.append((i + rows.start, j, log_assignment[i, j].exp()))
    candidates = Candidates(*(torch.cat(parts) for parts in zip(*found, strict=True)))
    if prefilter:
        row_wins = _best_of(candidates.i, candidates.confidence, L) >= (dustbin + u + v_dustbin).exp()
        column_wins = _best_of(candidates.j, candidates.confidence, S) >= (dustbin + u_dustbin + v).exp()
        candidates = candidates.at(row_wins[candidates.i] & column_wins[candidates.j])
    return candidates
