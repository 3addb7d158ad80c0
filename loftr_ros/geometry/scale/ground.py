"""The ground plane of two views: the lowest plane that many matches lie on, below roofs, trees and vehicles.

All fits are in inverse depths, whose errors are nearly the same at every depth. With the plane m = n / d in the older
camera, a point on it has 1 / z0 = m' x0, a point above it has a larger inverse depth. Lengths are in units of the
translation.

Heights above the ground are a part of the model (heights.py): a least-squares plane would lie above it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from loftr_ros.geometry.normal import INLIER_SIGMAS
from loftr_ros.geometry.scale.heights import Heights
from loftr_ros.geometry.sphere import tangent_basis
from loftr_ros.geometry.triangulation import depths

GROUND_TILT = np.radians(5.0)  # standard deviation of the angle between the normal of the ground and gravity

# Empirical.
_CANDIDATES = 400  # planes through three matches
_SCORED = 600  # matches that score the candidates
_UNEVENNESS = 0.02  # of the distance: height differences of matches that still count as ground
_PENALTY_BELOW = 2.0  # of a match below a candidate, in matches on it
_MAX_TILT = 3.0  # standard deviations of the tilt up to which a candidate counts as ground
_RELAXATION = 1.7  # factor of a step of the plane, as those of expectation maximisation are short
_ITERATIONS = 40  # of expectation maximisation
_COARSE = 0.01  # of the distance, standard deviation that is added in the first iteration
_FINER = 0.8  # factor of that from one iteration to the next
_MAX_CONDITION = 1e14  # of the information about a plane
_MAX_SHIFT = 0.2  # in normalised coordinates; a match that the plane maps farther away is not on it


@dataclass(frozen=True, eq=False)
class GroundPlane:
    """plane: m (3,), m' p0 = 1. covariance: (3, 3) of m. on: (N,) bool, the matches on the plane.

    _usable: (N,) bool, matches that carry the fit, M of them. _offsets: (M,), of their inverse depths from the plane.
    _weights: (M,), their information about the plane.
    """

    plane: np.ndarray
    covariance: np.ndarray
    on: np.ndarray
    _usable: np.ndarray
    _offsets: np.ndarray
    _weights: np.ndarray

    def refitted(self, x0: np.ndarray, x1: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
        """Plane (3,) of the same matches, with the same weights, under a slightly different pose: one Newton step."""
        rays0, rays1 = x0[self._usable], x1[self._usable]
        between = _between(rays0, rays1, rotation, translation, self.plane)
        offsets = _inverse_depths(rays0, rays1, rotation, translation) - between @ self.plane
        change = np.where(np.isfinite(offsets), offsets - self._offsets, 0.0)
        moved: np.ndarray = self.plane + self.covariance @ (between.T @ (self._weights * change))
        return moved


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
    number below it. The best one is fitted to all matches, with their heights above it.
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
        along = planes @ gravity / (np.linalg.norm(planes, axis=1) * np.linalg.norm(gravity))
        planes = planes[along > np.cos(max_tilt)]
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
    """Fit the plane and the heights above it; rays_on: rays (N, 3) of the matches for a plane, see `_between`."""
    prior = np.zeros((3, 3))
    if gravity is not None:
        across = tangent_basis(gravity / np.linalg.norm(gravity))
        prior = across @ across.T / (ground_tilt * np.linalg.norm(plane)) ** 2
    target, variance = inverse[usable], np.maximum(deviation[usable], 1e-12) ** 2
    heights = Heights.above(float(np.median(np.sqrt(variance) / target)))
    for iteration in range(_ITERATIONS):
        x0 = rays_on(plane)[usable]
        expected = x0 @ plane
        coarse = variance + (_COARSE * _FINER**iteration * expected) ** 2
        found = heights.explain(target - expected, expected, coarse)
        information = _information(x0, found.right / coarse, prior)
        if information is None:
            return None
        fitted = np.linalg.solve(information, x0.T @ (found.right / coarse * (target - found.mean)))
        plane = plane + _RELAXATION * (fitted - plane)
        heights = found.relearned()
    x0 = rays_on(plane)
    expected = x0 @ plane
    offsets = target - expected[usable]
    found = heights.explain(offsets, expected[usable], variance)
    # What the unknown heights leave of the information (Louis, J. of the Royal Statistical Society B 1982).
    weights = found.right / variance * np.clip(1.0 - found.variance / variance, 0.0, 1.0)
    information = _information(x0[usable], weights, prior)
    if information is None:
        return None
    on = usable & (np.abs(inverse - expected) < np.maximum(INLIER_SIGMAS * deviation, _UNEVENNESS * np.abs(expected)))
    return GroundPlane(plane, np.linalg.inv(information), on, usable, offsets, weights)


def _information(x0: np.ndarray, weights: np.ndarray, prior: np.ndarray) -> np.ndarray | None:
    """Information (3, 3) of rays (M, 3) about the plane; None where it does not determine one."""
    information: np.ndarray = (x0 * weights[:, None]).T @ x0 + prior
    return None if np.linalg.cond(information) > _MAX_CONDITION else information
