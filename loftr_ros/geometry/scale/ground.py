"""The ground plane of two views: the lowest plane that many matches lie on, below roofs, trees and vehicles.

All fits are in inverse depths, whose errors are nearly the same at every depth. With the plane m = n / d in the older
camera, a point on it has 1 / z0 = m' x0, a point above it has a larger inverse depth. Lengths are in units of the
translation.

Matches are off the ground by noise, which has no sign, and by heights, which have one. A least-squares plane would lie
as far above the ground as grass, kerbs and cars are high in the mean. So heights are a part of the model: a mixture of
normal distributions of positive heights, whose shares are estimated with the plane by expectation maximisation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from loftr_ros.geometry.normal import INLIER_SIGMAS
from loftr_ros.geometry.sphere import tangent_basis
from loftr_ros.geometry.triangulation import depths

GROUND_TILT = np.radians(5.0)  # standard deviation of the angle between the normal of the ground and gravity

# Empirical.
_CANDIDATES = 400  # planes through three matches
_SCORED = 600  # matches that score the candidates
_UNEVENNESS = 0.02  # of the distance: height differences of matches that still count as ground
_PENALTY_BELOW = 2.0  # of a match below a candidate, in matches on it
_MAX_TILT = 3.0  # standard deviations of the tilt up to which a candidate counts as ground
_HEIGHTS = np.array([0.0, *(0.004 * 3.0 ** np.arange(5))])  # means, of the distance: grass to houses
_HEIGHT_SPREAD = 0.5  # standard deviation of each over its mean
_HEIGHT_SHARES = np.array([0.3, *[0.14] * 5])  # at the start; they count as much as three matches in their estimate
_PRIOR_MATCHES = 3.0
_WRONG_SHARE = 0.02  # of matches whose inverse depth is wrong, uniform over +- that of the plane
_RELAXATION = 1.7  # of each step of the plane; the steps of expectation maximisation alone are short
_SEPARATE = 1.0  # standard deviations of the noise; lower heights cannot be told from it
_ITERATIONS = 40  # of expectation maximisation
_COARSE = 0.01  # of the distance, standard deviation that is added in the first iteration
_FINER = 0.8  # factor of that from one iteration to the next
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
    x0 = rays_on(plane)
    target, variance = inverse[usable], np.maximum(deviation[usable], 1e-12) ** 2
    heights = _Heights.start(float(np.median(np.sqrt(variance) / (x0[usable] @ plane))))
    for round_ in range(_ITERATIONS):
        x0 = rays_on(plane)[usable]
        coarse = variance + (_COARSE * _FINER**round_ * (x0 @ plane)) ** 2
        found = heights.explain(target - x0 @ plane, x0 @ plane, coarse)
        weights = found.right / coarse
        information = (x0 * weights[:, None]).T @ x0 + prior
        if np.linalg.cond(information) > 1e14:
            return None
        fitted = np.linalg.solve(information, (x0 * weights[:, None]).T @ (target - found.mean))
        plane = plane + _RELAXATION * (fitted - plane)
        heights = found.relearned()
    rays = rays_on(plane)
    x0, expected = rays[usable], rays @ plane
    off = target - expected[usable]
    found = heights.explain(off, expected[usable], variance)
    # What the unknown heights leave of the information (Louis, J. of the Royal Statistical Society B 1982).
    weights = found.right / variance * np.clip(1.0 - found.variance / variance, 0.0, 1.0)
    information = (x0 * weights[:, None]).T @ x0 + prior
    if np.linalg.cond(information) > 1e14:
        return None
    on = usable & (np.abs(inverse - expected) < np.maximum(INLIER_SIGMAS * deviation, _UNEVENNESS * np.abs(expected)))
    return GroundPlane(plane, np.linalg.inv(information), on, usable, off, weights)


@dataclass(frozen=True, eq=False)
class _Heights:
    """Distribution of the heights over the plane. shares, means: (K,). wrong: share of the wrong matches."""

    means: np.ndarray
    prior: np.ndarray
    shares: np.ndarray
    wrong: float

    @classmethod
    def start(cls, noise):
        kept = (_HEIGHTS == 0.0) | (_SEPARATE * noise < _HEIGHTS)
        shares = _HEIGHT_SHARES[kept] / _HEIGHT_SHARES[kept].sum()
        return cls(_HEIGHTS[kept], shares, shares, _WRONG_SHARE)

    def explain(self, offsets: np.ndarray, expected: np.ndarray, variance: np.ndarray) -> _ExplainedHeights:
        """Split offsets (M,) from the plane into height and noise. expected: (M,), inverse depths of the plane.

        variance: (M,), of the noise. A point at a height of h of the distance has an inverse depth that is larger by
        about h of that of the plane.
        """
        scale = np.maximum(expected, 1e-12)
        means = self.means[:, None] * scale
        spreads = (_HEIGHT_SPREAD * means) ** 2
        total = variance + spreads
        log_density = np.log(self.shares)[:, None] - 0.5 * ((offsets - means) ** 2 / total + np.log(2 * np.pi * total))
        highest = log_density.max(axis=0)
        density = np.exp(log_density - highest)
        posterior = density / density.sum(axis=0)
        log_right = highest + np.log(density.sum(axis=0)) + np.log((1.0 - self.wrong) / self.wrong)
        right = 1.0 / (1.0 + np.exp(np.clip(-np.log(2.0 * scale) - log_right, -50.0, 50.0)))
        height = means + spreads / total * (offsets - means)
        mean = np.einsum("km,km->m", posterior, height)
        spread = np.einsum("km,km->m", posterior, spreads * variance / total + height**2) - mean**2
        return _ExplainedHeights(self, right, posterior, mean, spread)


@dataclass(frozen=True, eq=False)
class _ExplainedHeights:
    """right: (M,), probability that the match is right. posterior: (K, M), of the heights, if it is.

    mean, variance: (M,), of the part of the offset that is height.
    """

    heights: _Heights
    right: np.ndarray
    posterior: np.ndarray
    mean: np.ndarray
    variance: np.ndarray

    def relearned(self) -> _Heights:
        counts = self.posterior @ self.right + _PRIOR_MATCHES * self.heights.prior
        wrong = (1.0 - self.right).sum() + _PRIOR_MATCHES * _WRONG_SHARE
        return replace(self.heights, shares=counts / counts.sum(), wrong=float(wrong / (counts.sum() + wrong)))
