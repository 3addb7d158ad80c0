"""Matches of two calibrated cameras as rays with the size of a pixel: the input of all two-view estimators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from typing import TypeVar

import numpy as np

from perception_common.cameras.camera import Camera

_PIXEL_STEP = 0.5  # pixels, of the central difference of the distortion

Model = TypeVar("Model")
Evaluation = TypeVar("Evaluation")


@dataclass(frozen=True, eq=False)
class RayPairs:
    """Matched rays. Indexing with a mask or with indices gives a subset.

    x0, x1: (N, 3) float64 rays (x/z, y/z, 1) in the older and the newer camera.
    gram0, gram1: (3, N), the entries xx, xy, yy of P P', where P (2, 2) is the derivative of (x/z, y/z) by the pixels
        of the original image. With them residuals are in pixels of the original images whatever the focal lengths and
        distortions are. (3, 1) without distortion, where P is the same for all matches.
    weights: (N,), inverse variance of a match over that of the average match; mean 1.
    pixel: size of a pixel in normalised coordinates, mean of both cameras.
    extent: half the mean side of the images, pixels; wrong matches are taken as uniform over +-extent.
    odds: (N,), prior odds of a match to be right, from evidence beside its residual (see two_view/relief.py); 1 if
        there is none.
    """

    x0: np.ndarray
    x1: np.ndarray
    gram0: np.ndarray
    gram1: np.ndarray
    weights: np.ndarray
    pixel: float
    extent: float
    odds: np.ndarray

    def __len__(self) -> int:
        """Count the matches."""
        return len(self.x0)

    def __getitem__(self, mask: np.ndarray) -> RayPairs:
        """Return the matches of a mask (N,) bool or of indices (M,)."""
        return replace(
            self,
            x0=self.x0[mask],
            x1=self.x1[mask],
            gram0=self.gram0 if self.gram0.shape[1] == 1 else self.gram0[:, mask],
            gram1=self.gram1 if self.gram1.shape[1] == 1 else self.gram1[:, mask],
            weights=self.weights[mask],
            odds=self.odds[mask],
        )

    @cached_property
    def rows0(self) -> np.ndarray:
        """The rays of the older camera as contiguous rows (3, N), on which arithmetic is fastest."""
        return np.ascontiguousarray(self.x0.T)

    @cached_property
    def rows1(self) -> np.ndarray:
        """The rays of the newer camera as contiguous rows (3, N)."""
        return np.ascontiguousarray(self.x1.T)

    @cached_property
    def root_weights(self) -> np.ndarray:
        """Square roots (N, 1) of the weights: residuals times them have the same variance."""
        return np.sqrt(self.weights)[:, None]


def gram_times(gram: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """P P' v (..., 2, N) of vectors v (..., 2, N) or (..., 2, 1); gram: (3, N) or (3, 1), as in `RayPairs`."""
    xx, xy, yy = gram
    if gram.shape[1] == 1:  # one matrix for all matches: its product is faster than sums of rows
        return np.array([[xx[0], xy[0]], [xy[0], yy[0]]]) @ vectors
    x, y = vectors[..., 0, :], vectors[..., 1, :]
    return np.stack([xx * x + xy * y, xy * x + yy * y], axis=-2)


def kept_for_last(evaluate: Callable[[Model, RayPairs], Evaluation]) -> Callable[[Model, RayPairs], Evaluation]:
    """Let a method of an immutable model keep its result for the matches of its last call.

    A refinement asks a motion for its residuals and then, if the motion is accepted, for its Jacobian at the same
    matches; both need the same evaluation. Callers must not change the arrays in the result.
    """
    name = f"_last_{evaluate.__name__}"

    @wraps(evaluate)
    def kept(model: Model, pairs: RayPairs) -> Evaluation:
        last: tuple[RayPairs, Evaluation] | None = vars(model).get(name)
        if last is None or last[0] is not pairs:
            last = vars(model)[name] = pairs, evaluate(model, pairs)
        return last[1]

    return kept


def ray_pairs(
    points0: np.ndarray, points1: np.ndarray, camera0: Camera, camera1: Camera, weights: np.ndarray | None = None
) -> tuple[RayPairs, np.ndarray]:
    """Turn matches (N, 2), pixels of the original images, into rays; also returns which matches are usable, (N,) bool.

    Unusable are pixels without a ray, where the distortion cannot be inverted, and matches whose weight (N,) is not
    finite and positive.
    """
    rays0, rays1 = camera0.rays(points0), camera1.rays(points1)
    given = np.ones(len(rays0)) if weights is None else np.asarray(weights, np.float64)
    usable = np.isfinite(rays0).all(axis=1) & np.isfinite(rays1).all(axis=1) & np.isfinite(given) & (given > 0)
    rays0, rays1, given = rays0[usable], rays1[usable], given[usable]
    sides = (camera0.width, camera0.height, camera1.width, camera1.height)
    focal = np.concatenate([camera.matrix[[0, 1], [0, 1]] for camera in (camera0, camera1)])
    pairs = RayPairs(
        x0=np.insert(rays0, 2, 1.0, axis=1),
        x1=np.insert(rays1, 2, 1.0, axis=1),
        gram0=_gram(camera0, rays0),
        gram1=_gram(camera1, rays1),
        weights=given / given.mean() if len(given) else given,
        pixel=float(np.mean(1.0 / focal)),
        extent=float(np.mean(sides)) / 2.0,
        odds=np.ones(len(given)),
    )
    return pairs, usable


def match_weights(confidence: np.ndarray | None, spread: np.ndarray | None, count: int) -> np.ndarray:
    """Relative inverse variances (N,) of matches from LoFTR's own scores; 1 for all without them.

    spread: (N,), the network's standard deviation of point 1, pixels. It has none for point 0, for which the median
    spread is used instead: the variance is proportional to spread^2 + median(spread)^2. confidence: (N,), probability
    that the match is right; multiplies the weight.
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


def _gram(camera: Camera, rays: np.ndarray) -> np.ndarray:
    """P P' (3, N) at rays (N, 2), from the derivative D of pixels by rays: P = D^-1, so P P' = (D' D)^-1."""
    K = camera.rectified_matrix
    focal = K[[0, 1], [0, 1]]
    if camera.is_rectified:
        return np.array([[focal[0] ** -2], [0.0], [focal[1] ** -2]])
    straight = rays * focal + K[:2, 2]
    by_x, by_y = (
        ((camera.distort(straight + step) - camera.distort(straight - step)) / (2 * _PIXEL_STEP) * scale).T
        for step, scale in zip(_PIXEL_STEP * np.eye(2), focal, strict=True)
    )  # columns of D, (2, N) each
    determinant = by_x[0] * by_y[1] - by_x[1] * by_y[0]
    irregular = ~(np.abs(determinant) > 1e-6 * np.prod(focal))  # the distortion folds: use the undistorted D
    by_x[:, irregular], by_y[:, irregular] = np.diag(focal)[:, :, None]
    determinant[irregular] = np.prod(focal)
    return np.stack([np.sum(by_y**2, axis=0), -np.sum(by_x * by_y, axis=0), np.sum(by_x**2, axis=0)]) / determinant**2
