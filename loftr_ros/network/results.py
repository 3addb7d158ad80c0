"""What LoFTR computes: the features of images, refined positions, and the matches of a pair."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class ImageFeatures:
    """Features that depend on one image only, for a batch of images; keep them to match an image several times.

    coarse: (B, h, w, C) after the layers before the first cross layer. fine: (B, H, W, D).
    mask: (B, h, w) bool, False for padding, or None. covariance: (B, C, C) float32, of the backbone's coarse features
    over each image, for descriptors of whole images; None in training. gray: the images, (B, H, W) uint8, if their
    pixels are aligned.
    """

    coarse: torch.Tensor
    fine: torch.Tensor
    mask: torch.Tensor | None = None
    covariance: torch.Tensor | None = None
    gray: torch.Tensor | None = None

    def __getitem__(self, index: slice) -> ImageFeatures:
        """Select images of the batch."""
        of_batch = (None if each is None else each[index] for each in (self.mask, self.covariance, self.gray))
        return ImageFeatures(self.coarse[index], self.fine[index], *of_batch)

    @property
    def nbytes(self) -> int:
        """Memory of the maps, bytes."""
        return sum(0 if values is None else values.nbytes for values in vars(self).values())


@dataclass(frozen=True)
class Refinement:
    """Positions of coarse matches in image 1, refined to fractions of a pixel.

    offset: (M, 2) float32, pixels (x, y) from the centre of its coarse cell. spread: (M,) float32, pixels, mean of the
    standard deviations along x and y over the whole window (half of their sum, which weights the paper's loss).
    log_heatmap: (M, w * w) float32, over the fine cells of the window, row-major.
    """

    offset: torch.Tensor
    spread: torch.Tensor
    log_heatmap: torch.Tensor


@dataclass(frozen=True)
class PairMatches:
    """Matches of one pair, best confidence first.

    points0, points1: (N, 2) float32, pixels (x, y) of the network's input, pixel centres at integers.
    confidence: (N,) float32. spread: (N,) float32, pixels of image 1, of the heatmap or, where pixels were aligned, of
    the alignment. cells0, cells1: (N,) int64, row-major.
    """

    points0: torch.Tensor
    points1: torch.Tensor
    confidence: torch.Tensor
    spread: torch.Tensor
    cells0: torch.Tensor
    cells1: torch.Tensor

    def at(self, index: torch.Tensor | slice) -> PairMatches:
        """Select by a mask (N,) bool, by indices (M,) or by a slice."""
        return PairMatches(**{name: values[index] for name, values in vars(self).items()})

    def joined(self, other: PairMatches) -> PairMatches:
        """Return the matches of both, best confidence first; ties are ordered by `cells0`."""
        both = PairMatches(**{name: torch.cat([values, getattr(other, name)]) for name, values in vars(self).items()})
        by_cell = both.at(both.cells0.sort(stable=True).indices)
        return by_cell.at(by_cell.confidence.sort(descending=True, stable=True).indices)
