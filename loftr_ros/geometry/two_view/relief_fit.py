"""Fits of a plane with relief to the matches of a nearly planar scene, from each motion that may be the true one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from loftr_ros.geometry.normal import INLIER_SIGMAS
from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.sampling import spread_sample
from loftr_ros.geometry.two_view import thresholds
from loftr_ros.geometry.two_view.essential import EssentialMotion, facing
from loftr_ros.geometry.two_view.homography.decomposition import normalised, plane_in_front
from loftr_ros.geometry.two_view.homography.motion import PlaneMotion
from loftr_ros.geometry.two_view.homography.relief_motion import ReliefMotion
from loftr_ros.geometry.two_view.homography.sampson import homography_residuals
from loftr_ros.geometry.two_view.relief import weighed_by_relief
from loftr_ros.geometry.uncertainty.noise import Noise
from loftr_ros.geometry.uncertainty.refinement import CONVERGED, Refined, refine
from perception_common.geometry import rotation_angle

_ROUNDS = 3  # of fits, each followed by an update of the noise and the heights (empirical)
_HOPELESS = 150.0  # difference of log-likelihoods of a sample (empirical)
_OFFSET_WEIGHT = 0.5  # of the log-likelihood of the offsets, as neighbours share their heights (empirical)


@dataclass(frozen=True, eq=False)
class ReliefFit:
    """A refined motion over a plane with relief. pairs: the matches, with their odds.

    is_ahead: (N,) bool, matches that the motion does not place behind a camera. log_likelihood: to compare fits.
    """

    pairs: RayPairs
    refined: Refined[ReliefMotion]
    is_ahead: np.ndarray
    log_likelihood: float


def shows_relief(essential: Refined[EssentialMotion], plane: Refined[PlaneMotion]) -> bool:
    """Tell whether the plane leaves more than the noise of the matches, or leaves out some that are right."""
    holds_all = plane.noise.inlier_ratio > thresholds.NO_RELIEF_INLIERS * essential.noise.inlier_ratio
    return not (holds_all and plane.noise.sigma < thresholds.NO_RELIEF_NOISE * essential.noise.sigma)


def fit_reliefs(
    pairs: RayPairs,
    essential: Refined[EssentialMotion],
    plane: Refined[PlaneMotion],
    motions: list[PlaneMotion],
    max_sigma: float,
) -> list[ReliefFit]:
    """Fit from the motions of the plane and from the essential matrix; different results, the most likely one first.

    max_sigma: bound of the noise, pixels.
    """
    weighed = weighed_by_relief(pairs, plane.motion.homography, essential.weights / pairs.weights)
    sample = weighed[spread_sample(weighed, thresholds.FIT_SAMPLE)]
    inside = pairs[essential.weights > 0.5 * pairs.weights]
    starts = [*motions, _with_plane(facing(inside, essential.motion), plane.motion.homography)]
    common = replace(essential.noise, judged=1)
    rough = [
        _fit(sample, ReliefMotion.start(start, common.sigma), common, max_sigma, thresholds.ROUGH_TOLERANCE)
        for start in starts
    ]
    return _distinct([_fit(weighed, fit.refined.motion, common, max_sigma, CONVERGED) for fit in _likely(rough)])


def _likely(fits: list[ReliefFit]) -> list[ReliefFit]:
    """Drop the fits that all matches would make hopeless, whatever their variance inflation."""
    best = max(fit.log_likelihood for fit in fits)
    return [fit for fit in _distinct(fits) if best - fit.log_likelihood < _HOPELESS]


def as_points(fit: ReliefFit, max_sigma: float) -> tuple[Noise, float]:
    """Return the noise of the matches as points, and its log-likelihood, to compare with models that predict points."""
    pairs, motion, noise = fit.pairs, fit.refined.motion, replace(fit.refined.noise, judged=2)
    for _ in range(_ROUNDS):
        weighted = pairs.root_weights * motion.residuals(pairs)
        right = noise.responsibility(weighted, motion.odds(pairs) * fit.is_ahead)
        noise = noise.updated(weighted, right, len(fit.refined.information), max_sigma)
        motion = motion.relearned(pairs, right, noise.sigma)
    weighted = pairs.root_weights * motion.residuals(pairs)
    return noise, noise.log_likelihood(weighted, motion.odds(pairs) * fit.is_ahead)


def ahead(motion: PlaneMotion, pairs: RayPairs, sigma: float) -> np.ndarray:
    """Tell which matches (N,), as points on the plane, may lie in front of both cameras.

    sigma: noise of a match, pixels. A match that fits the rotation alone may lie at infinity.
    """
    turned = np.linalg.norm(homography_residuals(pairs, motion.rotation), axis=1)
    return np.asarray(plane_in_front(motion, pairs) | (turned < INLIER_SIGMAS * sigma))


def _with_plane(motion: EssentialMotion, H: np.ndarray) -> PlaneMotion:
    """Return the motion with the plane for which R + t m' is nearest to the homography H (3, 3)."""
    plane = (normalised(H) - motion.rotation).T @ motion.translation
    return PlaneMotion(motion.rotation, motion.translation, plane)


def _fit(pairs: RayPairs, start: ReliefMotion, common: Noise, max_sigma: float, tolerance: float) -> ReliefFit:
    """Refine motion and plane in turn with the noise and the heights; common: noise of the essential matrix.

    Whether a match is right is decided by its distance to the epipolar line alone. Along the line, wrong matches near
    their right places would pass as relief, and enlarge the noise. tolerance: as of `refine`.
    """
    motion, noise = start, common
    for _ in range(_ROUNDS):
        refined = refine(pairs, motion, noise, max_sigma, tolerance)
        noise = refined.noise
        motion = refined.motion.relearned(pairs, refined.weights / pairs.weights, noise.sigma)
    is_ahead = ahead(refined.motion.plane, pairs, noise.sigma)
    return ReliefFit(pairs, refined, is_ahead, _log_likelihood(pairs, refined.motion, common, is_ahead))


def _log_likelihood(pairs: RayPairs, motion: ReliefMotion, noise: Noise, is_ahead: np.ndarray) -> float:
    """Log-likelihood of the distances to the epipolar lines, and of the offsets along them.

    Both have wrong matches of their own: a match that is a little too far from its line still tells where the plane is.
    is_ahead: (N,), matches that are not behind a camera.
    """
    right, wrong = noise.inlier_ratio, (1.0 - noise.inlier_ratio) / (2.0 * noise.extent)
    motion = replace(motion, sigma=noise.sigma)
    for _ in range(_ROUNDS):
        inside = right * motion.offset_densities(pairs)
        motion = motion.relearned(pairs, inside / (inside + wrong), noise.sigma)
    along = np.log(right * motion.offset_densities(pairs) * is_ahead + wrong).sum()
    return noise.log_likelihood(pairs.root_weights * motion.residuals(pairs)) + _OFFSET_WEIGHT * float(along)


def _distinct(fits: list[ReliefFit]) -> list[ReliefFit]:
    """Drop the fits that converged to the pose of a more likely one; the most likely one comes first."""
    kept: list[ReliefFit] = []
    for fit in sorted(fits, key=lambda fit: -fit.log_likelihood):
        motion = fit.refined.motion
        if not any(
            rotation_angle(motion.rotation @ other.refined.motion.rotation.T) < thresholds.SAME_ROTATION
            and np.linalg.norm(motion.translation - other.refined.motion.translation) < thresholds.SAME_DIRECTION
            for other in kept
        ):
            kept.append(fit)
    return kept
