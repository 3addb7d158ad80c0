"""Coarse matching: confidences of all pairs of cells for training, and the selected matches for inference."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from loftr_ros.network.coarse.candidates import Candidates
from loftr_ros.network.coarse.dual_softmax import dual_softmax, dual_softmax_candidates
from loftr_ros.network.coarse.optimal_transport import optimal_transport, optimal_transport_candidates
from loftr_ros.network.coarse.similarity import MASKED
from loftr_ros.network.config import MatchingConfig, SelectionConfig


@dataclass(frozen=True)
class CoarseMatches:
    """Matched cells, each field (N,): at most one match per cell, ordered by b, then i.

    b: int64, pair of the batch. i, j: int64, cell of image 0 and of image 1, row-major. confidence: float32.
    counts: number of matches of each pair.
    """

    b: torch.Tensor
    i: torch.Tensor
    j: torch.Tensor
    confidence: torch.Tensor
    counts: tuple[int, ...]


class CoarseMatching(nn.Module):
    """Confidence that cell i of image 0 and cell j of image 1 show the same point, and the matches from it."""

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
        return optimal_transport(
            self.similarity(coarse0.flatten(1, 2), coarse1.flatten(1, 2)),
            self.bin_score.float(),
            self.config.sinkhorn_iterations,
            mask0=None if mask0 is None else mask0.flatten(1),
            mask1=None if mask1 is None else mask1.flatten(1),
            padding_has_mass=self.config.padding == "release",
        )

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
        """Find the mutual best pairs of cells above the threshold and away from the border; never stores (L, S).

        coarse: (B, h, w, C), masks: (B, h, w) bool, True in a rectangle at the top left.
        """
        pairs = []
        for b in range(len(coarse0)):
            side0 = _Side.of(coarse0[b], None if mask0 is None else mask0[b], selection.border)
            side1 = _Side.of(coarse1[b], None if mask1 is None else mask1[b], selection.border)
            pairs.append(self._match_pair(b, side0, side1, selection))
        return CoarseMatches(
            b=torch.cat([pair.b for pair in pairs]),
            i=torch.cat([pair.i for pair in pairs]),
            j=torch.cat([pair.j for pair in pairs]),
            confidence=torch.cat([pair.confidence for pair in pairs]),
            counts=tuple(len(pair.b) for pair in pairs),
        )

    def _match_pair(self, b: int, side0: _Side, side1: _Side, selection: SelectionConfig) -> CoarseMatches:
        candidates = self._candidates(side0, side1, selection.threshold)
        mutual = candidates.mutual_best(len(side0.tokens), len(side1.tokens))
        best = candidates.at(mutual & side0.inner[candidates.i] & side1.inner[candidates.j])
        if selection.max_matches and len(best.i) > selection.max_matches:
            strongest = best.confidence.argsort(descending=True, stable=True)[: selection.max_matches]
            best = best.at(strongest.sort().values)
        cells0, cells1 = side0.cells[best.i], side1.cells[best.j]
        return CoarseMatches(torch.full_like(best.i, b), cells0, cells1, best.confidence, counts=(len(best.i),))

    def _candidates(self, side0: _Side, side1: _Side, threshold: float) -> Candidates:
        tokens0, tokens1 = side0.tokens.float() * self._scale(side0.tokens.shape[-1]), side1.tokens.float()
        if not len(tokens0) or not len(tokens1):
            return Candidates.none(tokens0.device)
        if self.config.kind == "dual_softmax":
            return dual_softmax_candidates(tokens0, tokens1, threshold)
        return optimal_transport_candidates(
            tokens0,
            tokens1,
            self.bin_score.float(),
            self.config.sinkhorn_iterations,
            threshold,
            self.config.dustbin_prefilter,
            padded0=side0.padded if self.config.padding == "release" else 0,
            padded1=side1.padded if self.config.padding == "release" else 0,
        )


@dataclass(frozen=True)
class _Side:
    """The cells of one image of a pair, without padding.

    tokens: (N, C). cells: (N,) int64, cells of the map, row-major. inner: (N,) bool, False for cells at the border.
    padded: number of cells of the map that are padding.
    """

    tokens: torch.Tensor
    cells: torch.Tensor
    inner: torch.Tensor
    padded: int

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
        return _Side(tokens, cells, inner.flatten()[cells], padded=height * width - len(cells))
