"""True coarse matches of an image pair, from warps between the two images (section 3.5).

Points are (N, 2) float64 pixels (x, y), pixel centres at integers. A warp maps points of one image to the other image,
and returns a mask (N,) bool of the points that are known and visible there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Warp = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
Visibility = Literal["depth", "release"]
"""How true matches of views with depth are chosen. "depth": the depths of both views agree at a match. "release": they
are not compared, as in the published training; see `depth_warp`. What that code does by accident is left out: it never
uses the first cell of image 0, and it takes the first cell of image 1 for every point that falls outside."""


@dataclass(frozen=True)
class TrueMatches:
    """Cells of image 0 and image 1 that show the same point, each (N,) int64, row-major.

    points1: (N, 2) float32 pixels, position in image 1 of the centre of the cell of image 0; less than half a cell from
    the centre of the cell of image 1.
    """

    cells0: np.ndarray
    cells1: np.ndarray
    points1: np.ndarray


@dataclass(frozen=True)
class TrainingPair:
    """Two gray images (H, W) uint8 of one size, and their true matches."""

    image0: np.ndarray
    image1: np.ndarray
    matches: TrueMatches


def true_matches(height: int, width: int, stride: int, warp01: Warp, warp10: Warp) -> TrueMatches:
    """Warp the cell centres of image 0 to image 1, round to cells, and keep cells that warp back to their origin.

    height, width: of both images, pixels. stride: of the coarse cells, pixels.
    """
    rows, columns = -(-height // stride), -(-width // stride)
    centres = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2) * float(stride)
    points1, seen = warp01(centres)
    cells1, inside1 = _cell_of(points1, stride, rows, columns)
    cells0 = np.flatnonzero(seen & inside1)
    cells1 = cells1[cells0]
    back, seen_back = warp10(centres[cells1])
    cells_back, inside0 = _cell_of(back, stride, rows, columns)
    consistent = seen_back & inside0 & (cells_back == cells0)
    cells0, cells1 = cells0[consistent], cells1[consistent]
    return TrueMatches(cells0, cells1, points1[cells0].astype(np.float32))


def _cell_of(points: np.ndarray, stride: int, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Nearest cell (N,) int64 of each point, and a mask (N,) bool of the points inside the map."""
    with np.errstate(invalid="ignore"):
        x, y = np.rint(points / stride).T
        inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    return np.where(inside, y * columns + x, 0).astype(np.int64), inside


def homography_warp(H: np.ndarray, is_known: Callable[[np.ndarray], np.ndarray]) -> Warp:
    """Warp by a homography (3, 3), p1 ~ H p0; is_known: mask (N,) bool of the points (N, 2) that show the scene."""

    def warp(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, y, w = H @ np.column_stack([points, np.ones(len(points))]).T
        in_front = w > 1e-9
        w = np.where(in_front, w, 1.0)
        return np.column_stack([x / w, y / w]), in_front & is_known(points)

    return warp


def depth_warp(
    depth0: np.ndarray, K0: np.ndarray, depth1: np.ndarray, K1: np.ndarray, T_1_0: np.ndarray, tolerance: float | None
) -> Warp:
    """Warp by depth and pose.

    depth: (H, W) metres along the optical axis, 0 or not finite where unknown. K: (3, 3). T_1_0: (4, 4), maps points of
    camera 0 to camera 1. A point is visible in image 1 if its depth differs from `depth1` there by less than the
    relative `tolerance`. None: as in the published training, whose code computes this check (with 0.2) and does not use
    it: every point with a known depth in front of camera 1 is visible, also one that falls up to half a cell outside of
    image 1, where no depth can be compared. Both depths are read at the nearest pixel.
    """

    def warp(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z0, known0 = _depth_at(depth0, points)
        rays = np.linalg.solve(K0, np.column_stack([points, np.ones(len(points))]).T)
        X, Y, Z = K1 @ (T_1_0[:3, :3] @ (rays * z0) + T_1_0[:3, 3:])
        in_front = Z > 1e-6
        warped = np.column_stack([X, Y]) / np.where(in_front, Z, 1.0)[:, None]
        if tolerance is None:
            return warped, known0 & in_front
        z1, known1 = _depth_at(depth1, warped)
        agrees = np.abs(z1 - Z) < tolerance * np.maximum(z1, 1e-9)
        return warped, known0 & in_front & known1 & agrees

    return warp


def tolerance_of(visibility: Visibility, tolerance: float) -> float | None:
    """Return the tolerance of `depth_warp` for a configured visibility."""
    return tolerance if visibility == "depth" else None


def _depth_at(depth: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    height, width = depth.shape
    x, y = np.rint(np.clip(points, -1, max(height, width))).astype(np.int64).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    z = np.where(inside, depth[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)], 0).astype(np.float64)
    known = np.isfinite(z) & (z > 0)
    return np.where(known, z, 0.0), known
