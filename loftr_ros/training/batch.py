"""Batches of training pairs, reproducible from the seed and the number of the step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from loftr_ros.datasets.mixture import PairSource
from loftr_ros.datasets.supervision import TrainingPair


@dataclass(frozen=True)
class PairBatch:
    """Pairs of images of one size and their true matches.

    images0, images1: (B, 1, H, W) float32, 0 to 1. b, i, j: (N,) int64, true matches: pair of the batch, cell of image
    0 and of image 1 (row-major). points1: (N, 2) float32 pixels, position of the centre of cell i in image 1.
    """

    images0: torch.Tensor
    images1: torch.Tensor
    b: torch.Tensor
    i: torch.Tensor
    j: torch.Tensor
    points1: torch.Tensor

    @staticmethod
    def of(pairs: list[TrainingPair]) -> PairBatch:
        """Stack pairs of one size."""
        counts = [len(pair.matches.cells0) for pair in pairs]
        return PairBatch(
            images0=_images([pair.image0 for pair in pairs]),
            images1=_images([pair.image1 for pair in pairs]),
            b=torch.arange(len(pairs)).repeat_interleave(torch.tensor(counts)),
            i=torch.from_numpy(np.concatenate([pair.matches.cells0 for pair in pairs])),
            j=torch.from_numpy(np.concatenate([pair.matches.cells1 for pair in pairs])),
            points1=torch.from_numpy(np.concatenate([pair.matches.points1 for pair in pairs])),
        )

    def to(self, device: torch.device) -> PairBatch:
        """Move to a device."""
        return PairBatch(**{name: tensor.to(device, non_blocking=True) for name, tensor in vars(self).items()})


def _images(images: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(images))[:, None].float() / 255


def draw_batch(
    source: PairSource, sizes: tuple[tuple[int, int], ...], batch: int, share: slice, seed: int, step: int
) -> PairBatch:
    """Make the pairs `share` of the global batch of a step, of which all have the same of the `sizes` (width, height).

    Each pair has a random generator of its own, seeded by its number within the run.
    """
    width, height = sizes[np.random.default_rng((seed, 0, step)).integers(len(sizes))]
    numbers = range(step * batch, (step + 1) * batch)[share]
    return PairBatch.of([source.sample(np.random.default_rng((seed, 1, n)), n, width, height) for n in numbers])
