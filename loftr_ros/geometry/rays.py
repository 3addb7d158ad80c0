"""Matches of two calibrated cameras as rays that know how large a pixel is: what all two-view estimators work on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from perception_common.camera import Camera

_STEP = 0.5  # pixels, for the derivative of the distortion


@dataclass(frozen=True, eq=False)
class RayPairs:
    """Matched rays. Index with a mask for some of them.

    x0, x1: (N, 3) float64 rays (x/z, y/z, 1) in the older and the newer camera.
    pixel0, pixel1: (N, 2, 2), derivative of x/z, y/z by the pixels of the original image: with it residuals come out
        in pixels of the original images, whatever their focal lengths and distortions.
    weights: (N,), how much more precise a match is than the average one (inverse variance), mean 1.
    pixel: one pixel as a normalised coordinate, mean of both cameras.
    extent: half the mean side of the images, pixels: how far wrong matches are spread.
    """

    x0: np.ndarray
    x1: np.ndarray
    pixel0: np.ndarray
    pixel1: np.ndarray
    weights: np.ndarray
    pixel: float
    extent: float

    def __len__(self) -> int:
        """Count the matches."""
        return len(self.x0)

    def __getitem__(self, mask: np.ndarray) -> RayPairs:
        """Return the matches of a mask (N,) or of indices."""
        return replace(
            self,
            x0=self.x0[mask],
            x1=self.x1[mask],
            pixel0=self.pixel0[mask],
            pixel1=self.pixel1[mask],
            weights=self.weights[mask],
        )


def ray_pairs(
    points0: np.ndarray, points1: np.ndarray, camera0: Camera, camera1: Camera, weights: np.ndarray | None = None
) -> tuple[RayPairs, np.ndarray]:
    """Turn matches (N, 2), pixels of the original images, into rays; returns also which have rays in both, (N,) bool.

    A pixel where the distortion has no inverse has no ray; a match without a finite positive weight is left out too.
    """
    rays0, rays1 = camera0.rays(points0), camera1.rays(points1)
    given = np.ones(len(rays0)) if weights is None else np.asarray(weights, np.float64)
    usable = np.isfinite(rays0).all(axis=1) & np.isfinite(rays1).all(axis=1) & np.isfinite(given) & (given > 0)
    rays0, rays1, given = rays0[usable], rays1[usable], given[usable]
    sides = (camera0.width, camera0.height, camera1.width, camera1.height)
    focal = np.concatenate([camera.matrix[[0, 1], [0, 1]] for camera in (camera0, camera1)])
    pairs = RayPairs(
        np.insert(rays0, 2, 1.0, axis=1),
        np.insert(rays1, 2, 1.0, axis=1),
        _footprint(camera0, rays0),
        _footprint(camera1, rays1),
        given / given.mean() if len(given) else given,
        float(np.mean(1.0 / focal)),
        float(np.mean(sides)) / 2.0,
    )
    return pairs, usable


def match_weights(confidence: np.ndarray | None, spread: np.ndarray | None, count: int) -> np.ndarray:
    """Relative inverse variances (N,) of LoFTR's matches.

    spread: (N,), standard deviation of point 1 as the network sees it, pixels. The network says nothing of point 0, so
    the median spread stands for it: the variance goes as spread^2 + median(spread)^2. confidence: (N,), the probability
    that the match is right, by which its information counts.
    """
    weights: np.ndarray = np.ones(count)
    if spread is not None and count:
        variance = np.square(np.asarray(spread, np.float64))
        typical = np.median(variance[np.isfinite(variance)]) if np.isfinite(variance).any() else 0.0
        if typical > 0:
            weights = 2.0 * typical / (variance + typical)
    if confidence is not None:
        weights = weights * np.asarray(confidence, np.float64)
    return weights


def _footprint(camera: Camera, rays: np.ndarray) -> np.ndarray:
    """Derivative (N, 2, 2) of rays (N, 2) by pixels of the original image: the inverse of that of the projection."""
    K = camera.rectified_matrix
    focal = K[[0, 1], [0, 1]]
    if camera.is_rectified:
        return np.broadcast_to(np.diag(1.0 / focal), (len(rays), 2, 2))
    straight = rays * focal + K[:2, 2]
    columns = [
        (camera.distort(straight + step) - camera.distort(straight - step)) / (2 * _STEP) for step in _STEP * np.eye(2)
    ]
    projection = np.stack(columns, axis=-1) * focal  # d pixel / d ray, columns by x and y
    determinant = np.linalg.det(projection)
    regular = np.abs(determinant) > 1e-6 * np.prod(focal)
    projection[~regular] = np.diag(focal)
    return np.linalg.inv(projection)
