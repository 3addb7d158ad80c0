"""The choice among the motions that a plane allows, and what the remaining doubt adds to the covariance.

Two cases. Without visible relief all candidates share the homography, and matches off the plane and the prior choose
among them. With relief each candidate is a fit of a plane with relief: points off the plane tell the motions apart, and
would bias the fit of a plane alone. In both cases a match behind a camera counts as wrong.

Matches whose errors are correlated tell the motions apart less surely than independent ones. Their log-likelihoods are
therefore divided by the variance inflation factor. This is the magnitude adjustment of a composite likelihood (Ribatet,
Cooley and Davison, "Bayesian inference from composite likelihoods, with an application to spatial extremes",
Statistica Sinica 2012).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.triangulation import fit_plane, in_front
from loftr_ros.geometry.two_view import thresholds
from loftr_ros.geometry.two_view.ambiguity import Alternative, MotionPrior, posterior, spread_of_alternatives
from loftr_ros.geometry.two_view.essential import EssentialMotion
from loftr_ros.geometry.two_view.homography.decomposition import equal_motions
from loftr_ros.geometry.two_view.homography.motion import PlaneMotion
from loftr_ros.geometry.two_view.homography.relief_motion import ReliefMotion
from loftr_ros.geometry.two_view.relief_fit import ReliefFit, ahead
from loftr_ros.geometry.uncertainty.covariance import observed_covariance, step_covariance
from loftr_ros.geometry.uncertainty.dependence import variance_inflation
from loftr_ros.geometry.uncertainty.noise import Noise
from loftr_ros.geometry.uncertainty.refinement import Refined

_POSE_STEPS = 5  # the leading ones, of rotation and direction
_OFF_PLANE_INLIER_RATIO = 0.5  # of the matches off the plane: no knowledge


@dataclass(frozen=True, eq=False)
class ChosenMotion:
    """The chosen motion of a plane.

    motion: has rotation and translation. steps: covariance (p, p) of its steps; None where it is not asked for. noise:
    sigma of the fitted model, pixels. probability: that it is the true motion. alternatives: (6, 6), addition to the
    covariance of the pose for the chance of another motion.
    """

    motion: PlaneMotion | ReliefMotion
    steps: np.ndarray | None
    noise: float
    probability: float
    alternatives: np.ndarray


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A motion with the noise (pixels) and log-likelihood of the matches; `steps` computes the covariance of its steps.

    The log-likelihood is divided by the variance inflation, and the covariance multiplied with it. The covariance is
    computed on demand: candidates of negligible probability need none.
    """

    motion: PlaneMotion | ReliefMotion
    noise: float
    log_likelihood: float
    steps: Callable[[], np.ndarray]


def choose_plane_motion(
    pairs: RayPairs,
    essential: Refined[EssentialMotion],
    plane: Refined[PlaneMotion],
    reliefs: list[ReliefFit],
    *,
    inlier_distance: float,
    prior: MotionPrior,
    with_covariance: bool,
) -> ChosenMotion:
    """Choose among the motions of a refined homography by the matches off the plane and the prior.

    reliefs: fits with relief, where it is visible; else empty. inlier_distance: pixels from its epipolar line within
    which a match is an inlier of the essential matrix. with_covariance: False leaves out `steps` and `alternatives`.
    """
    inside = pairs[essential.distances < inlier_distance]
    if reliefs:
        candidates = _relief_candidates(reliefs)
    else:
        candidates = _plane_candidates(pairs, essential, plane, equal_motions(plane.motion, inside))
    candidates = [c for c in candidates if _is_ahead(inside, c.motion)] or candidates
    probabilities = posterior([c.log_likelihood + _log_prior(inside, c.motion, prior) for c in candidates])
    chosen = int(np.argmax(probabilities))
    motion, steps = candidates[chosen].motion, candidates[chosen].steps() if with_covariance else None
    others = [
        Alternative(
            probability=float(probability),
            rotation=candidate.motion.rotation,
            translation=candidate.motion.translation,
            covariance=observed_covariance(candidate.steps(), candidate.motion.translation),
        )
        for k, (candidate, probability) in enumerate(zip(candidates, probabilities, strict=True))
        if with_covariance and k != chosen and probability > thresholds.NEGLIGIBLE_PROBABILITY
    ]
    return ChosenMotion(
        motion=motion,
        steps=steps,
        noise=candidates[chosen].noise,
        probability=float(probabilities[chosen]),
        alternatives=spread_of_alternatives(motion.rotation, motion.translation, others),
    )


def _is_ahead(inside: RayPairs, motion: PlaneMotion | ReliefMotion) -> bool:
    """Return whether most matches, each triangulated alone, lie in front of both cameras.

    A plane may lie in front of the cameras while its points do not: where the epipole is in view and the parallax is
    small, half of them are triangulated behind.
    """
    return in_front(inside.x0, inside.x1, motion.rotation, motion.translation) >= thresholds.MIN_IN_FRONT


def _plane_candidates(
    pairs: RayPairs, essential: Refined[EssentialMotion], plane: Refined[PlaneMotion], motions: list[PlaneMotion]
) -> list[_Candidate]:
    """Candidates with the homography of `plane`, which share its residuals and, up to coordinates, its covariance."""
    # The inflation is that of the epipolar distances: along the lines, relief below the noise would look like
    # correlated errors.
    inflation = variance_inflation(pairs, essential)
    covariance = cache(partial(_inflated_step_covariance, pairs, plane, inflation))  # once for all candidates
    return [
        _Candidate(
            motion=motion,
            noise=plane.noise.sigma,
            log_likelihood=_plane_log_likelihood(pairs, plane, motion, essential.noise) / inflation,
            steps=partial(_in_steps_of, motion, plane.motion, covariance),
        )
        for motion in motions
    ]


def _in_steps_of(motion: PlaneMotion, other: PlaneMotion, covariance: Callable[[], np.ndarray]) -> np.ndarray:
    """Convert a covariance (8, 8) of steps of another motion with the same homography to steps of `motion`."""
    change = motion.steps_of(other)
    return change @ covariance() @ change.T


def _relief_candidates(reliefs: list[ReliefFit]) -> list[_Candidate]:
    # The inflation is that of the pose: heights that neighbours share make the plane alone uncertain.
    inflation = variance_inflation(reliefs[0].pairs, reliefs[0].refined, steps=_POSE_STEPS)
    return [
        _Candidate(
            motion=fit.refined.motion,
            noise=fit.refined.noise.sigma,
            log_likelihood=fit.log_likelihood / inflation,
            steps=partial(_inflated_step_covariance, fit.pairs, fit.refined, inflation),
        )
        for fit in reliefs
    ]


def _inflated_step_covariance(pairs: RayPairs, refined: Refined[Any], inflation: float) -> np.ndarray:
    return inflation * step_covariance(pairs, refined)


def _plane_log_likelihood(pairs: RayPairs, plane: Refined[PlaneMotion], motion: PlaneMotion, noise: Noise) -> float:
    """Log-likelihood of one of the motions of a plane.

    Matches on the plane fit all its motions equally, unless a motion places them behind a camera. Matches off the plane
    differ by their distances to the epipolar lines, along which they are uniform; half of them are taken as right.
    Relief below the noise is visible only in all epipolar distances together. On an exact plane their log-likelihoods
    differ by chance, by about sqrt(N), so they are divided by that.
    """
    on, _ = plane.noise.densities(pairs.root_weights * plane.residuals)
    on = on * ahead(motion, pairs, plane.noise.sigma)
    residuals = EssentialMotion(motion.rotation, motion.translation).residuals(pairs)
    right, wrong = replace(noise, inlier_ratio=_OFF_PLANE_INLIER_RATIO).densities(pairs.root_weights * residuals)
    off = (1.0 - plane.noise.inlier_ratio) / (2.0 * noise.extent) * (right + wrong)
    relief = noise.log_likelihood(pairs.root_weights * residuals) / np.sqrt(len(pairs))
    return float(np.log(on + off).sum()) + relief


def _log_prior(inside: RayPairs, motion: PlaneMotion | ReliefMotion, prior: MotionPrior) -> float:
    plane = None
    if prior.down is not None:
        plane = fit_plane(inside.x0, inside.x1, motion.rotation, motion.translation)
    return prior.log_density(motion.rotation, motion.translation, np.zeros(3) if plane is None else plane)
