"""The motion of the camera between images as a homography of the ground: by sparse optical flow or from matches."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_LONG_SIDE = 640  # images are reduced to it: milliseconds, and a pixel of 1920 is a third of one
_CORNERS = 400
_CORNER_QUALITY = 0.01  # of the best corner
_CORNER_DISTANCE = 8  # pixels of the reduced image
_WINDOW = (21, 21)
_LEVELS = 4  # of the pyramid: flows of up to a quarter of the image (empirical)
_ROUND_TRIP = 1.0  # pixels; a corner that does not come back from the other image is dropped
_RANSAC_PX = 2.0
_LEAST = 12  # inliers
_LEAST_SHARE = 0.35  # of the corners that came back
_MATCH_RANSAC = (
    0.004  # of the image's long side: as _RANSAC_PX of _LONG_SIDE, for parallax between keyframes a little more
)
_HALF = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])  # to pixel centres at integers plus a half


@dataclass(frozen=True, eq=False)
class MatchedImages:
    """Matches of two images. older_ns, newer_ns: their stamps. points0, points1: (N, 2) float64, pixels of the older
    and of the newer image, without those on objects that may move. Pixel centres are at integers.
    """

    older_ns: int
    newer_ns: int
    points0: np.ndarray
    points1: np.ndarray


class CameraMotion:
    """Follows the ground from image to image."""

    def __init__(self) -> None:
        self._before: np.ndarray | None = None

    def forget(self) -> None:
        """Begin anew with the next image."""
        self._before = None

    def update(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray | None:
        """Return the homography (3, 3) from pixels of the image before to pixels of this one; None where it is unknown.

        image: (H, W, 3) uint8 RGB or (H, W) uint8. boxes: (N, 4) x0, y0, x1, y1, objects of the image before, which
        may move: what they cover is left out. Pixel centres are at integers plus a half, as those of boxes.
        """
        small, factor = _reduced(image)
        before, self._before = self._before, small
        if before is None or before.shape != small.shape:
            return None
        mask = np.full(before.shape, 255, np.uint8)
        for x0, y0, x1, y1 in np.round(np.asarray(boxes) * factor).astype(int).tolist():
            mask[max(0, y0 - 1) : max(0, y1 + 2), max(0, x0 - 1) : max(0, x1 + 2)] = 0
        found = _flow(before, small, mask)
        if found is None:
            return None
        H = _fitted(*found, _RANSAC_PX, small.shape)
        if H is None:
            return None
        scale = np.diag([1 / factor, 1 / factor, 1.0])
        return scale @ _HALF @ H @ np.linalg.inv(_HALF) @ np.linalg.inv(scale)


def ground_homography(points0: np.ndarray, points1: np.ndarray, size: tuple[int, int]) -> np.ndarray | None:
    """Homography (3, 3) of matched points (N, 2), pixels with centres at integers, between pixels of both images with
    centres at integers plus a half; None where most of the points do not agree on one. size: width and height, pixels.
    """
    if len(points0) < _LEAST:
        return None
    H = _fitted(points0, points1, _MATCH_RANSAC * max(size), (size[1], size[0]))
    return None if H is None else _HALF @ H @ np.linalg.inv(_HALF)


def _fitted(points0: np.ndarray, points1: np.ndarray, threshold: float, shape: tuple[int, ...]) -> np.ndarray | None:
    """Homography of matched points (N, 2); None where too few agree or where it is implausible. threshold: pixels."""
    H, inliers = cv2.findHomography(points0, points1, cv2.RANSAC, threshold)
    if H is None or inliers.sum() < max(_LEAST, _LEAST_SHARE * len(points0)) or not _is_plausible(H, shape):
        return None
    return np.asarray(H)


def _reduced(image: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the image in gray with a long side of at most _LONG_SIDE, and the factor."""
    height, width = image.shape[:2]
    factor = min(1.0, _LONG_SIDE / max(height, width))
    if factor < 1.0:
        size = max(1, round(width * factor)), max(1, round(height * factor))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image), factor


def _flow(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return corners (N, 2) of the image before and where they are afterwards; None for too few."""
    corners = cv2.goodFeaturesToTrack(before, _CORNERS, _CORNER_QUALITY, _CORNER_DISTANCE, mask=mask)
    if corners is None or len(corners) < _LEAST:
        return None
    there, seen, _ = cv2.calcOpticalFlowPyrLK(
        before, after, corners, np.empty_like(corners), winSize=_WINDOW, maxLevel=_LEVELS
    )
    back, seen_back, _ = cv2.calcOpticalFlowPyrLK(
        after, before, there, np.empty_like(corners), winSize=_WINDOW, maxLevel=_LEVELS
    )
    came_back = np.linalg.norm((back - corners)[:, 0], axis=1) < _ROUND_TRIP
    kept = came_back & (seen[:, 0] == 1) & (seen_back[:, 0] == 1)
    return (corners[kept, 0], there[kept, 0]) if kept.sum() >= _LEAST else None


def _is_plausible(H: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Tell whether the corners of the image stay a convex quadrangle of a similar area, in the same order."""
    height, width = shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    u, v, w = H @ np.vstack([corners.T, np.ones(4)])
    if (w <= 0).any():
        return False
    moved = np.stack([u / w, v / w], axis=1)
    sides = np.roll(moved, -1, axis=0) - moved
    turns = sides[:, 0] * np.roll(sides, -1, axis=0)[:, 1] - sides[:, 1] * np.roll(sides, -1, axis=0)[:, 0]
    area = cv2.contourArea(moved.astype(np.float32)) / (width * height)
    return bool((turns > 0).all()) and 0.25 < area < 4.0
