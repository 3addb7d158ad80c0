"""Similarities of the coarse cells of two images, computed in tiles so that inference never stores all of them."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from loftr_ros.network.projection import project

TILE_ELEMENTS = 2**20  # similarities in memory at a time (4 MiB); empirical
GPU_TILE_ELEMENTS = 2**26  # 256 MiB: a GPU needs large tiles, and is waited for after each
TILE_ROWS = 256  # minimum, since fewer rows make the matrix product slow (32 MiB at 32,000 cells); empirical
MASKED = -1e9  # logarithm of the confidence of padding: exp gives 0, and differences stay finite


def similarity_tiles(tokens0: torch.Tensor, tokens1: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield inner products of tokens (L, C) and (S, C), some rows at a time: (rows, (n, S))."""
    elements = TILE_ELEMENTS if tokens0.device.type == "cpu" else GPU_TILE_ELEMENTS
    step = max(TILE_ROWS, elements // len(tokens1))
    for start in range(0, len(tokens0), step):
        rows = slice(start, min(start + step, len(tokens0)))
        yield rows, project(tokens0[rows], tokens1)
