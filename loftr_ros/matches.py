"""Matches of two images: the result of every matcher."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Matches:
    """Matches of two images, highest confidence first; ties are ordered by `cells0`.

    points0, points1: (N, 2) float32, pixels (x, y) of the original images. confidence: (N,) float32, 0 to 1.
    spread: (N,) float32, standard deviation of points1 as the matcher estimates it, mean over x and y, pixels of the
    original image 1. cells0, cells1: (N,) int64, what was matched: coarse cells of the network's input, row-major, or
    indices of keypoints. size0, size1: (width, height) of the original images.
    """

    points0: np.ndarray
    points1: np.ndarray
    confidence: np.ndarray
    spread: np.ndarray
    cells0: np.ndarray
    cells1: np.ndarray
    size0: tuple[int, int]
    size1: tuple[int, int]

    def __len__(self) -> int:
        """Count the matches."""
        return len(self.points0)
