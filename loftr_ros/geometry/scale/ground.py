"""The ground plane of two views: the lowest plane that many matches lie on, below roofs, trees and vehicles.

All fits are in inverse depths, whose errors are nearly the same at every depth. With the plane m = n / d in the older
camera, a point on it has 1 / z0 = m' x0, a point above it has a larger inverse depth. Lengths are in units of the
translation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from loftr_ros.geometry.normal import INLIER_SIGMAS, MAD_TO_SIGMA
from loftr_ros.geometry.sphere import tangent_basis
from loftr_ros.geometry.triangulation import depths
from perception_common.geometry import angle_between

GROUND_TILT = np.radians(5.0)  # standard deviation of the angle between the normal of the ground and gravity

# Empirical.
_CANDIDATES = 400  # planes through three matches
_SCORED = 600  # matches that score the candidates
_UNEVENNESS = 0.02  # of the distance: height differences that are still ground
_PENALTY_BELOW = 2.0  # of a match below a candidate, in matches on it
_MAX_TILT = 3.0  # standard deviations of the tilt up to which a candidate counts as ground
_ITERATIONS = 6  # of least squares
_MAX_SHIFT = 0.2  # in normalised coordinates; a match that the plane maps farther away is not on it


@dataclass(frozen=True, eq=False)
class GroundPlane:
    """plane: m (3,), m' p0 = 1. covariance: (3, 3) of m. on: (N,) bool, the matches on the plane.

    _weights (M,) and _prior (3, 3): of the least squares over these M matches, for `refitted`.
    """

    plane: np.ndarray
    covariance: np.ndarray
    on: np.ndarray
    _weights: np.ndarray
    _prior: np.ndarray

    def refitted(self, x0: np.ndarray, x1: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
        """Plane (3,) of the same matches, with the same weights, under a slightly different pose."""
        rays0, rays1 = x0[self.on], x1[self.on]
        between = _between(rays0, rays1, rotation, translation, self.plane)
        return _solve(between, _inverse_depths(rays0, rays1, rotation, translation), self)


def find_ground(
    x0: np.ndarray,
    x1: np.ndarray,
    rotation: np.ndarray,
    translation: np.ndarray,
    noise: float = 0.0,
    gravity: np.ndarray | None = None,
    ground_tilt: float = GROUND_TILT,
) -> GroundPlane | None:
    """Find the ground among matches as rays (N, 3); None without one.

    rotation, translation: pose of the newer camera in the older one, unit translation. noise: standard deviation of a
    normalised coordinate of a match. gravity: (3,) direction in the older camera. ground_tilt: standard deviation of
    the angle between the normal of the ground and `gravity`, radians, including the error of `gravity`.

    Candidates are planes through three matches. The score of a candidate is the number of matches on it, less twice the
    number below it. The best one is fitted by least squares to the matches on it.
    """
    inverse = _inverse_depths(x0, x1, rotation, translation)
    deviation = _deviations(x0, inverse, rotation, translation, noise)
    usable = np.isfinite(inverse) & np.isfinite(deviation) & (inverse > 0)
    if usable.sum() < 3:
        return None
    start = _best_candidate(x0[usable], inverse[usable], deviation[usable], gravity, ground_tilt)
    if start is None:
        return None

    def rays_on(plane: np.ndarray) -> np.ndarray:
        return _between(x0, x1, rotation, translation, plane)

    return _fit(rays_on, inverse, deviation, usable, start, gravity, ground_tilt)


def _inverse_depths(x0: np.ndarray, x1: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return 1.0 / depths(x0, x1, rotation, translation)[:, 0]


def _deviations(
    x0: np.ndarray, inverse: np.ndarray, rotation: np.ndarray, translation: np.ndarray, noise: float
) -> np.ndarray:
    """Standard deviations (N,) of inverse depths rho: noise over the derivative of x1 ~ R' (x0 - rho t) by rho."""
    ahead = -(rotation.T @ translation)
    with np.errstate(divide="ignore", invalid="ignore"):  # of matches at infinity, which are not usable
        moved = x0 @ rotation + np.outer(inverse, ahead)
        shift = (ahead[:2] - moved[:, :2] / moved[:, 2:] * ahead[2]) / moved[:, 2:]
        return np.sqrt(2.0) * max(noise, 1e-7) / np.linalg.norm(shift, axis=1)


def _best_candidate(
    x0: np.ndarray, inverse: np.ndarray, deviation: np.ndarray, gravity: np.ndarray | None, ground_tilt: float
) -> np.ndarray | None:
    """The candidate plane (3,) with the best score; with gravity, level planes through each match compete too."""
    rng = np.random.default_rng(0)
    scored = rng.permutation(len(x0))[:_SCORED]
    triples = rng.integers(len(x0), size=(_CANDIDATES, 3))
    matrices = x0[triples]
    regular = np.abs(np.linalg.det(matrices)) > 1e-6
    planes = np.linalg.solve(matrices[regular], inverse[triples[regular]][..., None])[..., 0]
    if gravity is not None:
        max_tilt = _MAX_TILT * ground_tilt
        planes = planes[[angle_between(plane, gravity) < max_tilt for plane in planes]]
        facing = x0[triples[:, 0]] @ gravity
        heights = inverse[triples[:, 0]] / np.where(facing > 0, facing, np.inf)
        planes = np.concatenate([planes, np.outer(heights[heights > 0], gravity)])
    if not len(planes):
        return None
    expected = planes @ x0[scored].T  # (K, n)
    off = inverse[scored] - expected
    tolerance = np.maximum(INLIER_SIGMAS * deviation[scored], _UNEVENNESS * expected)
    on = (np.abs(off) < tolerance) & (expected > 0)
    score = np.sum(on, axis=1) - _PENALTY_BELOW * np.sum(off < -tolerance, axis=1)
    return planes[int(np.argmax(score))]


def _between(
    x0: np.ndarray, x1: np.ndarray, rotation: np.ndarray, translation: np.ndarray, plane: np.ndarray
) -> np.ndarray:
    """Mean (N, 3) of each ray x0 and the ray that x1, as a point on the plane, has in the older image.

    An error of x0 changes the inverse depth too, and this correlation would tilt a least-squares plane in x0. The mean
    of both rays is uncorrelated with their difference, from which the inverse depth follows.
    """
    turned = x1 @ rotation.T
    moved = (1.0 - plane @ translation) * turned + np.outer(turned @ plane, translation)
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = moved / moved[:, 2:]
    near = np.linalg.norm(moved - x0, axis=1) < _MAX_SHIFT
    return np.where(near[:, None], (x0 + moved) / 2, x0)


def _fit(
    rays_on: Callable[[np.ndarray], np.ndarray],
    inverse: np.ndarray,
    deviation: np.ndarray,
    usable: np.ndarray,
    plane: np.ndarray,
    gravity: np.ndarray | None,
    ground_tilt: float,
) -> GroundPlane | None:
    """Iterated least squares from `plane`; rays_on: rays (N, 3) of the matches for a plane, see `_between`."""
    weights = np.where(usable, 1.0 / np.maximum(deviation, 1e-12) ** 2, 0.0)
    prior = np.zeros((3, 3))
    if gravity is not None:
        across = tangent_basis(gravity / np.linalg.norm(gravity))
        prior = across @ across.T / (ground_tilt * np.linalg.norm(plane)) ** 2
    ground = None
    for _ in range(_ITERATIONS):
        x0 = rays_on(plane)
        off = np.abs(x0 @ plane - inverse)
        on = usable & (off < np.maximum(INLIER_SIGMAS * deviation, _UNEVENNESS * np.abs(x0 @ plane)))
        if on.sum() < 3:
            return None
        # Uneven ground scatters more than the noise of the rays: scale the variance by the observed residuals.
        excess = max(MAD_TO_SIGMA * float(np.median(off[on] * np.sqrt(weights[on]))), 1.0 if ground is None else 1e-6)
        ground = GroundPlane(plane, np.zeros((3, 3)), on, weights[on] / excess**2, prior)
        information = _information(x0[on], ground)
        if np.linalg.cond(information) > 1e14:
            return None
        plane = _solve(x0[on], inverse[on], ground)
        ground = GroundPlane(plane, np.linalg.inv(information), on, weights[on] / excess**2, prior)
    return ground


def _information(x0: np.ndarray, ground: GroundPlane) -> np.ndarray:
    return (x0 * ground._weights[:, None]).T @ x0 + ground._prior


def _solve(x0: np.ndarray, inverse: np.ndarray, ground: GroundPlane) -> np.ndarray:
    return np.linalg.solve(_information(x0, ground), (x0 * ground._weights[:, None]).T @ inverse)
