"""Known places of image 0 are matched onward from where they lie, not from the centres of their cells.

The coarse stage matches centres of cells, so a point that one pair of images found would be left in the next pair. The
matches around a place say to within a few pixels where image 1 shows it, and the fine stage finds it there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from loftr_ros.network.results import PairMatches

NEIGHBOURS = 8  # matches that predict a place; empirical
FEWEST = 3  # of them within REACH that agree; empirical
REACH = 4.0  # coarse cells; empirical
LARGEST_CORRECTION = 1.5  # fine cells from the prediction; a peak at the border of the window is not one; empirical
AGREEMENT = 1.0  # coarse cells between two displacements of one surface: those are accurate to half a cell
SPACING = 0.75  # coarse cells between a place and the start of a match that is not one; about a point for each cell
Refined = tuple[torch.Tensor, torch.Tensor]
"""Offsets (M, 2) from the centres of the windows in image 1, and spreads (M,), pixels."""

_FIT_ROUNDS = 5  # of the linear map; it converges in two or three on flights


@dataclass(frozen=True)
class Grid:
    """The cells of the maps of an image.

    shape: (height, width), cells without padding. columns: of the map. stride, fine_stride: pixels of a coarse and of a
    fine cell.
    """

    shape: tuple[int, int]
    columns: int
    stride: int
    fine_stride: int

    @staticmethod
    def of(coarse: torch.Tensor, mask: torch.Tensor | None, stride: int, fine_stride: int) -> Grid:
        """Describe a map (h, w, C) with a mask (h, w) bool, True in a rectangle at the top left."""
        height, width = coarse.shape[:2]
        shape = (height, width) if mask is None else (int(mask.any(1).sum()), int(mask.any(0).sum()))
        return Grid(shape, width, stride, fine_stride)

    def contains(self, points: torch.Tensor) -> torch.Tensor:
        """Whether points (N, 2), pixels, lie in cells of the image, (N,) bool."""
        height, width = self.shape
        cells = (points / self.stride).round()
        size = torch.cat([cells.new_full((1,), side) for side in (width, height)])  # made on the device, without a copy
        return ((cells >= 0) & (cells < size)).all(1)

    def cells(self, points: torch.Tensor) -> torch.Tensor:
        """Cells (N,) int64, row-major, of points (N, 2)."""
        x, y = (points / self.stride).round().long().T
        return y * self.columns + x

    def fine_shift(self, points: torch.Tensor) -> torch.Tensor:
        """Fine cells (N, 2) int64, (x, y) from the centre of its coarse cell to the fine cell of each point (N, 2)."""
        ratio = self.stride // self.fine_stride
        return self.fine_cells(points).long() - (points / self.stride).round().long() * ratio

    def fine_cells(self, points: torch.Tensor) -> torch.Tensor:
        """Fine cells (N, 2), (x, y), of points (N, 2); whole numbers of the same type."""
        return (points / self.fine_stride).round()

    def remainder(self, points: torch.Tensor) -> torch.Tensor:
        """Pixels (N, 2) from the centre of its fine cell to each point (N, 2)."""
        return points - self.fine_cells(points) * self.fine_stride


@dataclass(frozen=True)
class Predictions:
    """Where image 1 shows N of the places.

    points0, points1: (N, 2) float32, pixels of the network's input. confidence: (N,) float32, median of the matches
    around a place. linear: (2, 2) float32, maps small shifts in image 0 to image 1.
    """

    points0: torch.Tensor
    points1: torch.Tensor
    confidence: torch.Tensor
    linear: torch.Tensor

    def at(self, index: torch.Tensor) -> Predictions:
        """Select by a mask (N,) bool."""
        return Predictions(self.points0[index], self.points1[index], self.confidence[index], self.linear)


def match_onward(
    found: PairMatches, places: torch.Tensor, grid0: Grid, grid1: Grid, refine: Callable[..., Refined]
) -> PairMatches:
    """Match known places (K, 2) of image 0; they replace the matches `found` that say the same.

    grid0, grid1: of the two images. refine: takes cells of both images (M,), and for each image the shift (M, 2) from
    the centre of the cell to that of the window, fine cells.
    """
    places = places[grid0.contains(places)]
    places = places[first_of_each_cell(places, grid0.stride)]
    known = predict(places, found.points0, found.points1, found.confidence, grid0.stride)
    known = known.at(grid1.contains(known.points1))
    cells0, cells1 = grid0.cells(known.points0), grid1.cells(known.points1)
    offset, spread = refine(cells0, cells1, grid0.fine_shift(known.points0), grid1.fine_shift(known.points1))
    is_found = (offset.abs() <= LARGEST_CORRECTION * grid1.fine_stride).all(1)
    start1 = known.points1 - grid1.remainder(known.points1)
    onward = PairMatches(
        points0=known.points0,
        points1=start1 + offset + grid0.remainder(known.points0) @ known.linear.T,
        confidence=known.confidence,
        spread=spread,
        cells0=cells0,
        cells1=cells1,
    ).at(is_found)
    is_repeated = repeats(found.points0, found.points1, onward.points0, onward.points1, grid0.stride)
    return onward.joined(found.at(~is_repeated))


def first_of_each_cell(places: torch.Tensor, stride: int) -> torch.Tensor:
    """Select the places (K, 2), pixels, that are the first ones in their cell of `stride` pixels -> (N,) int64."""
    _, which = torch.unique((places / stride).round(), dim=0, return_inverse=True)
    numbers = torch.arange(len(places), device=places.device)
    first = numbers.new_full((int(which.max()) + 1 if len(which) else 0,), len(places))
    return first.scatter_reduce(0, which, numbers, "amin").sort().values


def repeats(
    points0: torch.Tensor, points1: torch.Tensor, places0: torch.Tensor, places1: torch.Tensor, stride: int
) -> torch.Tensor:
    """Whether matches (N, 2), (N, 2) say the same as one of the matched places (K, 2), (K, 2) -> (N,) bool.

    They start within SPACING of it and go the same way. A match that contradicts the place is no repetition.
    """
    if not len(places0):
        return torch.zeros(len(points0), dtype=torch.bool, device=points0.device)
    starts_close = torch.cdist(points0, places0) < SPACING * stride
    goes_along = torch.cdist(points1 - points0, places1 - places0) < AGREEMENT * stride
    return (starts_close & goes_along).any(1)


def predict(
    places: torch.Tensor, points0: torch.Tensor, points1: torch.Tensor, confidence: torch.Tensor, stride: int
) -> Predictions:
    """Predict places (K, 2) from matches (M, 2), (M, 2) with confidences (M,); all pixels, float32.

    A linear map over the whole image takes rotation and scale away; what is left is the median of the nearest matches.
    A place gets no prediction where few matches are around it, or where less than half of them agree with the median.
    """
    count = min(NEIGHBOURS, len(points0))
    if count < FEWEST or not len(places):
        return Predictions(places[:0], places[:0], confidence[:0], torch.eye(2, device=places.device))
    linear = fit_linear(points0, points1)
    rest = points1 - points0 @ linear.T
    distance, nearest = torch.cdist(places, points0).topk(count, dim=1, largest=False)
    is_near = distance <= REACH * stride
    around = rest[nearest].masked_fill(~is_near[..., None], torch.nan)
    shift = around.nanmedian(1).values
    agrees = (around - shift[:, None]).norm(dim=2) < AGREEMENT * stride  # False for NaN
    usable = (agrees.sum(1) >= FEWEST) & (2 * agrees.sum(1) >= is_near.sum(1))
    level = confidence[nearest].masked_fill(~is_near, torch.nan).nanmedian(1).values
    return Predictions(places, places @ linear.T + shift, level, linear).at(usable)


def fit_linear(points0: torch.Tensor, points1: torch.Tensor) -> torch.Tensor:
    """Linear part (2, 2) of the affine map between matches (M, 2), (M, 2); each round leaves out the worse half.

    The identity where the matches do not determine it.
    """
    linear = torch.eye(2, device=points0.device)
    for _ in range(_FIT_ROUNDS):
        rest = points1 - points0 @ linear.T
        residual = (rest - rest.median(0).values).norm(dim=1)
        good = residual <= residual.median()
        a, b = (points[good] - points[good].mean(0) for points in (points0, points1))
        spread = a.T @ a
        if torch.linalg.eigvalsh(spread)[0] < len(a):  # less than a pixel of spread along one axis
            return torch.eye(2, device=points0.device)
        linear = torch.linalg.solve(spread, a.T @ b).T
    return linear
