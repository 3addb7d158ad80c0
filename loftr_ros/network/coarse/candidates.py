"""Candidate matches above the confidence threshold, and the mutual best among them."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Candidates:
    """Pairs of cells (i, j) whose confidence exceeds the threshold, ordered by i, then j. Each field is (N,)."""

    i: torch.Tensor
    j: torch.Tensor
    confidence: torch.Tensor

    @staticmethod
    def none(device: torch.device) -> Candidates:
        """No candidates."""
        empty = torch.zeros(0, dtype=torch.int64, device=device)
        return Candidates(empty, empty, torch.zeros(0, device=device))

    def at(self, index: torch.Tensor) -> Candidates:
        """Select by a mask (N,) bool or by indices (M,); a mask is counted once, for which a GPU is waited for."""
        index = index.nonzero()[:, 0] if index.dtype == torch.bool else index
        return Candidates(self.i[index], self.j[index], self.confidence[index])

    def mutual_best(self, rows: int, columns: int) -> torch.Tensor:
        """Mark (N,) bool the candidates that are the best of their row and of their column; of equals, the first.

        A pair with a higher confidence than a candidate also exceeds the threshold, so the list is sufficient.
        """
        best = (self.confidence == maximum_by_id(self.i, self.confidence, rows)[self.i]) & (
            self.confidence == maximum_by_id(self.j, self.confidence, columns)[self.j]
        )
        for ids, count in ((self.i, rows), (self.j, columns)):
            best = best & _first_by_id(ids, best, count)
        return best


def maximum_by_id(ids: torch.Tensor, values: torch.Tensor, count: int) -> torch.Tensor:
    """Maximum (count,) of the values (N,) >= 0 with each id (N,) int64; 0 for an id without values."""
    return values.new_zeros(count).scatter_reduce(0, ids, values, "amax")


def _first_by_id(ids: torch.Tensor, among: torch.Tensor, count: int) -> torch.Tensor:
    """Mark (N,) bool the first entry of each id (N,) among the entries marked in `among` (N,) bool."""
    place = torch.where(among, torch.arange(len(ids), device=ids.device), len(ids))
    return place == place.new_full((count,), len(ids)).scatter_reduce(0, ids, place, "amin")[ids]
