"""The ground under two views: the plane that nothing lies below, found among roofs, trees and vehicles above it.

Everything is in inverse depths, which noise in the rays disturbs evenly: with the plane m = n / d in the older camera
a point on it has 1 / z0 = m' x0, one above it more. Lengths are in units of the translation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from loftr_ros.geometry.sphere import tangent_basis
from loftr_ros.geometry.triangulation import depths
from perception_common.geometry import angle_between

_TRIPLES = 400
_SCORED = 600  # matches that candidates are scored with
_ROUGH = 0.02  # of the distance: how uneven ground may be
_REACH = 3.0  # sigma
_BELOW = 2.0  # what a match below a candidate counts against it
_MAD = 1.4826
_STEEPEST = 3.0  # tilts against gravity, in their deviation, up to which a candidate is the ground
_ITERATIONS = 6
_NEAR = 0.2  # as a normalised coordinate; what the plane takes farther away is not on it


@dataclass(frozen=True, eq=False)
class GroundPlane:
    """plane: m (3,), m' p0 = 1. covariance: (3, 3) of m. on: (N,) bool, the matches that lie on it.

    _weights and _prior: of the least squares that found it, so that `refitted` can do the same again.
    """

    plane: np.ndarray
    covariance: np.ndarray
    on: np.ndarray
    _weights: np.ndarray
    _prior: np.ndarray

    def refitted(self, x0: np.ndarray, x1: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
        """Plane (3,) of the same matches under a pose a little different."""
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
    level: float = np.radians(5.0),
) -> GroundPlane | None:
    """Find the ground among matches as rays (N, 3); None where there is none.

    rotation, translation: pose of the newer camera in the older one, unit translation. noise: of a normalised
    coordinate of a match, standard deviation. gravity: (3,) direction in the older camera, from which the normal of the
    ground departs by about `level`, radians (with the error of the direction itself in it).

    Candidates are planes through three matches; the one with the most matches on it, less twice those below it, is
    then fitted by least squares to the matches on it.
    """
    inverse = _inverse_depths(x0, x1, rotation, translation)
    deviation = _deviations(x0, inverse, rotation, translation, noise)
    usable = np.isfinite(inverse) & np.isfinite(deviation) & (inverse > 0)
    if usable.sum() < 3:
        return None
    start = _best_candidate(x0[usable], inverse[usable], deviation[usable], gravity, level)
    if start is None:
        return None

    def rays_on(plane: np.ndarray) -> np.ndarray:
        return _between(x0, x1, rotation, translation, plane)

    return _fit(rays_on, inverse, deviation, usable, start, gravity, level)


def _inverse_depths(x0: np.ndarray, x1: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return 1.0 / depths(x0, x1, rotation, translation)[:, 0]


def _deviations(
    x0: np.ndarray, inverse: np.ndarray, rotation: np.ndarray, translation: np.ndarray, noise: float
) -> np.ndarray:
    """Standard deviation (N,) of inverse depths: noise over the shift of x1 by them, x1 ~ R' (x0 - rho t)."""
    ahead = -(rotation.T @ translation)
    moved = x0 @ rotation + np.outer(inverse, ahead)
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = (ahead[:2] - moved[:, :2] / moved[:, 2:] * ahead[2]) / moved[:, 2:]
        return np.sqrt(2.0) * max(noise, 1e-7) / np.linalg.norm(shift, axis=1)


def _best_candidate(
    x0: np.ndarray, inverse: np.ndarray, deviation: np.ndarray, gravity: np.ndarray | None, level: float
) -> np.ndarray | None:
    rng = np.random.default_rng(0)
    scored = rng.permutation(len(x0))[:_SCORED]
    triples = rng.integers(len(x0), size=(_TRIPLES, 3))
    matrices = x0[triples]
    regular = np.abs(np.linalg.det(matrices)) > 1e-6
    planes = np.linalg.solve(matrices[regular], inverse[triples[regular]][..., None])[..., 0]
    if gravity is not None:
        steepest = _STEEPEST * level
        planes = planes[[angle_between(plane, gravity) < steepest for plane in planes]]
        facing = x0[triples[:, 0]] @ gravity
        heights = inverse[triples[:, 0]] / np.where(facing > 0, facing, np.inf)
        planes = np.concatenate([planes, np.outer(heights[heights > 0], gravity)])
    if not len(planes):
        return None
    expected = planes @ x0[scored].T  # (K, n)
    off = inverse[scored] - expected
    reach = np.maximum(_REACH * deviation[scored], _ROUGH * expected)
    score = np.sum((np.abs(off) < reach) & (expected > 0), axis=1) - _BELOW * np.sum(off < -reach, axis=1)
    return planes[int(np.argmax(score))]


def _between(
    x0: np.ndarray, x1: np.ndarray, rotation: np.ndarray, translation: np.ndarray, plane: np.ndarray
) -> np.ndarray:
    """Mean (N, 3) of the rays x0 and of where x1 lies in the older image if it is on the plane.

    An error of x0 changes its inverse depth too, and least squares on both would tilt the plane by their correlation;
    that of the mean with the difference of both images is 0.
    """
    turned = x1 @ rotation.T
    moved = (1.0 - plane @ translation) * turned + np.outer(turned @ plane, translation)
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = moved / moved[:, 2:]
    near = np.linalg.norm(moved - x0, axis=1) < _NEAR
    return np.where(near[:, None], (x0 + moved) / 2, x0)


def _fit(
    rays_on: Callable[[np.ndarray], np.ndarray],
    inverse: np.ndarray,
    deviation: np.ndarray,
    usable: np.ndarray,
    plane: np.ndarray,
    gravity: np.ndarray | None,
    level: float,
) -> GroundPlane | None:
    weights = np.where(usable, 1.0 / np.maximum(deviation, 1e-12) ** 2, 0.0)
    prior = np.zeros((3, 3))
    if gravity is not None:
        across = tangent_basis(gravity / np.linalg.norm(gravity))
        prior = across @ across.T / (level * np.linalg.norm(plane)) ** 2
    ground = None
    for _ in range(_ITERATIONS):
        x0 = rays_on(plane)
        off = np.abs(x0 @ plane - inverse)
        on = usable & (off < np.maximum(_REACH * deviation, _ROUGH * np.abs(x0 @ plane)))
        if on.sum() < 3:
            return None
        # Uneven ground scatters by more than the rays do, and as a share of the distance: both are in the variance.
        uneven = max(_MAD * float(np.median(off[on] * np.sqrt(weights[on]))), 1.0 if ground is None else 1e-6)
        ground = GroundPlane(plane, np.zeros((3, 3)), on, weights[on] / uneven**2, prior)
        information = _information(x0[on], ground)
        if np.linalg.cond(information) > 1e14:
            return None
        plane = _solve(x0[on], inverse[on], ground)
        ground = GroundPlane(plane, np.linalg.inv(information), on, weights[on] / uneven**2, prior)
    return ground


def _information(x0: np.ndarray, ground: GroundPlane) -> np.ndarray:
    return (x0 * ground._weights[:, None]).T @ x0 + ground._prior


def _solve(x0: np.ndarray, inverse: np.ndarray, ground: GroundPlane) -> np.ndarray:
    return np.linalg.solve(_information(x0, ground), (x0 * ground._weights[:, None]).T @ inverse)
