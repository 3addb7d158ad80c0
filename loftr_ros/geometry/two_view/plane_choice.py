"""Which of the motions that a plane allows for is the true one, and what the doubt about it adds to the covariance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.triangulation import fit_plane
from loftr_ros.geometry.two_view.ambiguity import Alternative, MotionPrior, posterior, spread_of_alternatives
from loftr_ros.geometry.two_view.essential import EssentialMotion
from loftr_ros.geometry.two_view.homography import PlaneMotion, decompose_homography, visible_motions
from loftr_ros.geometry.two_view.relief import weighed_by_relief
from loftr_ros.geometry.uncertainty.covariance import observed_covariance, step_covariance
from loftr_ros.geometry.uncertainty.dependence import variance_inflation
from loftr_ros.geometry.uncertainty.noise import Noise
from loftr_ros.geometry.uncertainty.refinement import Refined, refine
from perception_common.geometry import rotation_angle

_FLAT = 1.15  # noise of the plane over that of the essential matrix up to which no relief is seen
_WHOLE = 0.95  # right matches of the plane over those of the essential matrix from which there is nothing beside it
_NEGLIGIBLE = 1e-6  # probability
_SAME = np.radians(0.05)


@dataclass(frozen=True, eq=False)
class ChosenMotion:
    """A motion with rotation and translation, and how sure it is.

    steps: covariance of its steps. noise: pixels, of the model that it was fitted with. probability: that it is the
    true one. doubt: (6, 6), what the chance of another one adds to the covariance of the pose. on_plane: whether it
    comes from the homography alone, no relief was seen.
    """

    motion: Any
    steps: np.ndarray
    noise: float
    probability: float
    doubt: np.ndarray
    on_plane: bool


def choose_plane_motion(
    pairs: RayPairs,
    essential: Refined[EssentialMotion],
    plane: Refined[PlaneMotion],
    reach: float,
    highest_noise: float,
    prior: MotionPrior,
) -> ChosenMotion:
    """Choose among the two motions of a refined homography by the matches off the plane and the prior.

    reach: pixels from their epipolar line within which matches count as inliers of the essential matrix.
    """
    inside = pairs[essential.distances < reach]
    motions = visible_motions(decompose_homography(plane.motion.homography), inside) or [plane.motion]
    holds_all = plane.noise.right > _WHOLE * essential.noise.right
    on_plane = holds_all and plane.noise.sigma < _FLAT * essential.noise.sigma
    if on_plane:
        candidates = _on_the_plane(pairs, essential, plane, motions)
    else:  # the relief is seen: it tells the motions apart and would bend those of a plane
        shaped = weighed_by_relief(pairs, plane.motion.homography, essential.weights / pairs.weights)
        candidates = _over_relief(shaped, essential, motions, highest_noise)
    probabilities = posterior([c.log_density + _density_before(inside, c.motion, prior) for c in candidates])
    best = int(np.argmax(probabilities))
    chosen = candidates[best].motion
    others = [
        Alternative(
            float(probability),
            candidate.motion.rotation,
            candidate.motion.translation,
            observed_covariance(candidate.steps(), candidate.motion.translation),
        )
        for candidate, probability in zip(candidates, probabilities, strict=True)
        if candidate is not candidates[best] and probability > _NEGLIGIBLE
    ]
    doubt = spread_of_alternatives(chosen.rotation, chosen.translation, others)
    return ChosenMotion(
        chosen, candidates[best].steps(), candidates[best].noise, float(probabilities[best]), doubt, on_plane
    )


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A motion, the noise and log likelihood of the matches under it, and what computes the covariance of its steps."""

    motion: Any
    noise: float
    log_density: float
    steps: Callable[[], np.ndarray]


def _on_the_plane(
    pairs: RayPairs, essential: Refined[EssentialMotion], plane: Refined[PlaneMotion], motions: list[PlaneMotion]
) -> list[_Candidate]:
    """All motions have the homography of `plane`, so they share its residuals and its covariance."""
    # By the epipolar distances: along the lines relief below the noise would look like errors that agree.
    covariance = variance_inflation(pairs, essential) * step_covariance(pairs, plane)

    def turned(motion: PlaneMotion) -> np.ndarray:
        change = motion.steps_of(plane.motion)
        return change @ covariance @ change.T

    return [
        _Candidate(
            motion,
            plane.noise.sigma,
            _density_of_plane(pairs, plane, motion, essential.noise),
            partial(turned, motion),
        )
        for motion in motions
    ]


def _over_relief(
    pairs: RayPairs, essential: Refined[EssentialMotion], motions: list[PlaneMotion], highest_noise: float
) -> list[_Candidate]:
    level = essential.noise.sigma
    starts = [EssentialMotion(motion.rotation, motion.translation, level) for motion in motions]
    found = [refine(pairs, start, essential.noise, highest_noise) for start in (essential.motion, *starts)]
    return [
        _Candidate(
            refined.motion,
            refined.noise.sigma,
            # All with the same noise, and without odds: what rises from the plane tells the motions apart.
            essential.noise.log_likelihood(pairs.roots * refined.residuals),
            partial(_dependent_covariance, pairs, refined),
        )
        for refined in _distinct(found)
    ]


def _dependent_covariance(pairs: RayPairs, refined: Refined[EssentialMotion]) -> np.ndarray:
    return variance_inflation(pairs, refined) * step_covariance(pairs, refined)


def _distinct(candidates: list[Refined[EssentialMotion]]) -> list[Refined[EssentialMotion]]:
    """Leave out the candidates that arrived at the pose of a more likely one."""
    kept: list[Refined[EssentialMotion]] = []
    for candidate in sorted(candidates, key=lambda c: -c.likelihood):
        motion = candidate.motion
        if not any(
            rotation_angle(motion.rotation @ other.motion.rotation.T) < _SAME
            and np.linalg.norm(motion.translation - other.motion.translation) < 10 * _SAME
            for other in kept
        ):
            kept.append(candidate)
    return kept


def _density_of_plane(pairs: RayPairs, plane: Refined[PlaneMotion], motion: PlaneMotion, noise: Noise) -> float:
    """Logarithm of the likelihood of a motion of a plane.

    The matches on the plane fit all its motions alike: only those off it can tell, by their epipolar lines, along which
    they may be anywhere. Half of those off it are taken for right. Relief below the noise shows in all epipolar
    distances together; on an exact plane their likelihood differs by chance, by about sqrt(N), and counts as one.
    """
    on, _ = plane.noise.densities(pairs.roots * plane.residuals)
    residuals = EssentialMotion(motion.rotation, motion.translation).residuals(pairs)
    right, wrong = replace(noise, right=0.5).densities(pairs.roots * residuals)
    off = (1.0 - plane.noise.right) / (2.0 * noise.extent) * (right + wrong)
    relief = noise.log_likelihood(pairs.roots * residuals) / np.sqrt(len(pairs))
    return float(np.log(on + off).sum()) + relief


def _density_before(inside: RayPairs, motion: Any, prior: MotionPrior) -> float:
    plane = None
    if prior.down is not None:
        plane = fit_plane(inside.x0, inside.x1, motion.rotation, motion.translation)
    return prior.log_density(motion.rotation, motion.translation, np.zeros(3) if plane is None else plane)
