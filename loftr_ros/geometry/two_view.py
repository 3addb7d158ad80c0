"""Two-view geometry: from matched points and two cameras to a relative pose that says how far it can be trusted.

How a pair is classified (after Schoenberger and Frahm, "Structure-from-Motion Revisited", CVPR 2016, section 4.1):
1. FAILED: too few matches agree on an essential matrix, or only with more noise than 4 thresholds.
2. GENERAL: a homography explains fewer than `planar_ratio` of the inliers of the essential matrix.
3. ROTATION_ONLY: else, where translation and plane make the matches no more likely than chance would (twice the
   logarithm of the ratio is under 40 for five parameters more), or where a mere rotation leaves under 0.3 pixels.
4. PLANAR: else. A plane allows for two motions; the one that fits the matches off the plane and the prior is chosen,
   and the chance that it is the other one is in the covariance.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from loftr_ros.geometry.ambiguity import NO_PRIOR, Alternative, MotionPrior, posterior, spread_of_alternatives
from loftr_ros.geometry.covariance import (
    observed_covariance,
    pose_covariance,
    step_covariance,
    turn_covariance,
    unknown_covariance,
)
from loftr_ros.geometry.essential import EssentialMotion, fit_essential
from loftr_ros.geometry.homography import (
    PlaneMotion,
    Turn,
    decompose_homography,
    fit_homography,
    fit_turn,
    homography_residuals,
    visible_motions,
)
from loftr_ros.geometry.noise import FLOOR, Noise
from loftr_ros.geometry.rays import RayPairs, match_weights, ray_pairs
from loftr_ros.geometry.refinement import Refined, refine
from loftr_ros.geometry.triangulation import fit_plane, in_front, parallax
from perception_common.camera import Camera
from perception_common.geometry import rotation_angle, transform

_REACH = 3.0  # sigma within which a match agrees with a pose
_TO_POINT = 1.147  # the same probability (99.7 %) for a distance with two components: sqrt(11.83) / 3
_HIGHEST_NOISE = 4.0  # thresholds
_SIGNIFICANT = 40.0  # twice the logarithm of a likelihood ratio; noise alone exceeds it once in 6 million pairs
_STILL = 0.3  # pixels; matchers err alike on neighbouring matches, and that much is no motion
_FLAT = 1.15  # noise of the plane over that of the essential matrix up to which no relief is seen
_POINT_TO_LINE = 1.746  # median length of a residual with two components over that of one: 1.1774 / 0.6745
_WHOLE = 0.95  # right matches of the plane over those of the essential matrix from which there is nothing beside it
_NEGLIGIBLE = 1e-6  # probability
_SAME = np.radians(0.05)


class Geometry(enum.IntEnum):
    """What the matches allow to say; the numbers are those of RelativePose.msg."""

    FAILED = 0
    GENERAL = 1
    PLANAR = 2
    ROTATION_ONLY = 3


@dataclass(frozen=True)
class TwoViewSettings:
    """How a relative pose is estimated.

    estimator: "auto" is poselib where it is installed, else OpenCV's USAC.
    threshold: inlier threshold, pixels of the original images; matches that prove noisier reach to 3 sigma.
    min_inliers: fewer than this many inliers are a failure.
    planar_ratio: inliers of a homography over inliers of the essential matrix from which a scene counts as planar.
    """

    estimator: Literal["auto", "poselib", "opencv"] = "auto"
    threshold: float = 1.0
    min_inliers: int = 15
    planar_ratio: float = 0.8
    seed: int = 0


@dataclass(frozen=True, eq=False)
class RelativePose:
    """Pose of the newer camera in the older one: p_older = rotation @ p_newer + translation (optical frames).

    rotation: (3, 3) float64. translation: (3,) float64 of length 1, or 0 where there is none to be seen.
    inliers: (N,) bool, the matches that agree with the pose. parallax: degrees, the median angle between the two rays
    of an inlier once the rotation is taken out. residual: median Sampson distance of the inliers, pixels. reason: why
    the geometry is not GENERAL, else empty. covariance: (6, 6) in ROS order and convention, see covariance.py.
    noise: standard deviation of a pixel coordinate of a match as the residuals show it, pixels.
    """

    rotation: np.ndarray
    translation: np.ndarray
    geometry: Geometry
    inliers: np.ndarray
    parallax: float
    residual: float
    reason: str
    covariance: np.ndarray
    noise: float

    @property
    def matrix(self) -> np.ndarray:
        """T with p_older = T p_newer, (4, 4)."""
        return transform(self.rotation, self.translation)


def failed_pose(matches: int, reason: str) -> RelativePose:
    """Return the result for a pair without a pose: the identity, no inliers, nothing known."""
    nothing = np.zeros(matches, bool)
    return RelativePose(np.eye(3), np.zeros(3), Geometry.FAILED, nothing, 0.0, 0.0, reason, unknown_covariance(), 0.0)


def estimate_relative_pose(
    points0: np.ndarray,
    points1: np.ndarray,
    camera0: Camera,
    camera1: Camera,
    settings: TwoViewSettings = TwoViewSettings(),
    *,
    confidence: np.ndarray | None = None,
    spread: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    prior: MotionPrior = NO_PRIOR,
) -> RelativePose:
    """Estimate the pose of camera 1 (newer) in camera 0 (older) from matches (N, 2), pixels of the original images.

    confidence, spread: (N,) of the matches as the matcher gives them; they weigh the refinement. weights: (N,), what
    else is known of them: 0 leaves a match out, as on moving things. prior: what tells the two motions of a plane
    apart. Degenerate input is a result with its geometry and reason, never an exception.
    """
    count = len(points0)
    weight = match_weights(confidence, spread, count)
    if weights is not None:
        weight = weight * weights
    pairs, usable = ray_pairs(points0, points1, camera0, camera1, weight)
    pose = _estimate(pairs, settings, prior)
    inliers = np.zeros(count, bool)
    inliers[usable] = pose.inliers
    return replace(pose, inliers=inliers)


def _estimate(pairs: RayPairs, settings: TwoViewSettings, prior: MotionPrior) -> RelativePose:
    count, least = len(pairs), settings.min_inliers
    needed = max(least, 5)  # the five-point solver
    if count < needed:
        return failed_pose(count, f"{count} matches, at least {needed} are needed")
    fit = fit_essential(pairs, settings.threshold, settings.estimator, settings.seed)
    if fit is None:
        return failed_pose(count, "no essential matrix explains the matches")
    if fit.inliers.sum() < least:
        return failed_pose(count, f"{fit.inliers.sum()} inliers of {count} matches, at least {least} are needed")

    highest = _HIGHEST_NOISE * settings.threshold
    start = Noise(max(settings.threshold / 2, FLOOR), float(np.clip(fit.inliers.mean(), 0.05, 0.95)), pairs.extent)
    essential = refine(pairs, replace(fit.motion, noise=start.sigma), start, highest)
    essential = refine(pairs, replace(essential.motion, noise=essential.noise.sigma), essential.noise, highest)
    sigma = essential.noise.sigma
    if sigma >= 0.99 * highest:
        return failed_pose(count, f"the matches agree no better than to {sigma:.1f} pixels")
    reach = max(settings.threshold, _REACH * sigma)
    agreeing = essential.distances < reach
    if agreeing.sum() < least:
        return failed_pose(count, f"{agreeing.sum()} inliers of {count} matches, at least {least} are needed")

    inside = pairs[agreeing]
    H = fit_homography(inside, np.sqrt(2) * _TO_POINT * reach, settings.estimator, settings.seed)
    if H is None:  # as for matches on one line; a rotation is a homography too
        H = fit_turn(inside).rotation
    explained = float(np.mean(np.linalg.norm(homography_residuals(inside, H), axis=1) < _TO_POINT * reach))
    if explained < settings.planar_ratio:
        return _general(pairs, essential, reach)

    motions = visible_motions(decompose_homography(H), inside)
    planes: list[Refined[Any]] = [refine(pairs, motion, essential.noise, highest) for motion in motions]
    turn = refine(pairs, fit_turn(inside), essential.noise, highest)
    if not planes or _is_turn(pairs, turn, max(planes, key=lambda plane: plane.likelihood)):
        return _rotation_only(pairs, turn, reach)
    return _planar(pairs, essential, planes, reach, explained, highest, prior)


def _is_turn(pairs: RayPairs, turn: Refined[Turn], plane: Refined[PlaneMotion]) -> bool:
    """Say whether the plane and the translation explain nothing that the rotation does not."""
    weighted = np.sqrt(pairs.weights)[:, None] * turn.residuals
    gain = 2.0 * (plane.likelihood - plane.noise.log_likelihood(weighted))
    return bool(gain < _SIGNIFICANT or np.median(turn.distances[plane.distances < _REACH * plane.noise.sigma]) < _STILL)


def _general(pairs: RayPairs, essential: Refined[EssentialMotion], reach: float) -> RelativePose:
    steps = step_covariance(pairs, essential)
    return _result(pairs, essential.motion, steps, Geometry.GENERAL, essential.noise.sigma, reach, "")


def _rotation_only(pairs: RayPairs, turn: Refined[Turn], reach: float) -> RelativePose:
    inliers = turn.distances < _TO_POINT * reach
    if not inliers.any():
        return failed_pose(len(pairs), "neither a translation nor a rotation explains the matches")
    left = float(np.median(turn.distances[inliers]))
    return RelativePose(
        turn.motion.rotation,
        np.zeros(3),
        Geometry.ROTATION_ONLY,
        inliers,
        0.0,
        left / _POINT_TO_LINE,
        f"a rotation alone leaves {left:.2f} pixels, no more than noise: there is no translation to be seen",
        turn_covariance(step_covariance(pairs, turn)),
        turn.noise.sigma,
    )


def _planar(
    pairs: RayPairs,
    essential: Refined[EssentialMotion],
    planes: list[Refined[PlaneMotion]],
    reach: float,
    explained: float,
    highest: float,
    prior: MotionPrior,
) -> RelativePose:
    inside = pairs[essential.distances < reach]
    best_plane = min(planes, key=lambda plane: plane.noise.sigma)
    candidates: list[Refined[Any]]
    holds_all = best_plane.noise.right > _WHOLE * essential.noise.right
    if holds_all and best_plane.noise.sigma < _FLAT * essential.noise.sigma:
        candidates = list(planes)
        densities = [_density_of_plane(pairs, best_plane, plane.motion, essential.noise) for plane in planes]
    else:  # the relief is seen: it tells the motions apart and would bend those of a plane
        level = essential.noise.sigma
        starts = [EssentialMotion(plane.motion.rotation, plane.motion.translation, level) for plane in planes]
        candidates = [essential, *(refine(pairs, start, essential.noise, highest) for start in starts)]
        candidates = _distinct(candidates)
        densities = [_density_of_relief(pairs, candidate.motion, essential.noise) for candidate in candidates]
    probabilities = posterior(
        [d + _density_before(inside, c.motion, prior) for d, c in zip(densities, candidates, strict=True)]
    )
    best = int(np.argmax(probabilities))
    chosen = candidates[best].motion
    others = [
        Alternative(float(p), c.motion.rotation, c.motion.translation, _observed(pairs, c))
        for p, c in zip(probabilities, candidates, strict=True)
        if c is not candidates[best] and p > _NEGLIGIBLE
    ]
    reason = f"a homography explains {100 * explained:.0f} % of the inliers: the scene is nearly a plane"
    if probabilities[best] < 0.99:
        reason += f"; the chance that another of its motions is the true one is {100 * (1 - probabilities[best]):.0f} %"
    steps = step_covariance(pairs, candidates[best])
    pose = _result(pairs, chosen, steps, Geometry.PLANAR, candidates[best].noise.sigma, reach, reason)
    doubt = spread_of_alternatives(chosen.rotation, chosen.translation, others)
    return replace(pose, covariance=pose.covariance + doubt)


def _observed(pairs: RayPairs, candidate: Refined[Any]) -> np.ndarray:
    return observed_covariance(step_covariance(pairs, candidate), candidate.motion.translation)


def _distinct(candidates: list[Refined[Any]]) -> list[Refined[Any]]:
    """Leave out the candidates that arrived at the pose of a more likely one."""
    kept: list[Refined[Any]] = []
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
    root = np.sqrt(pairs.weights)[:, None]
    on, _ = plane.noise.densities(root * plane.residuals)
    residuals = EssentialMotion(motion.rotation, motion.translation).residuals(pairs)
    right, wrong = replace(noise, right=0.5).densities(root * residuals)
    off = (1.0 - plane.noise.right) / (2.0 * noise.extent) * (right + wrong)
    relief = noise.log_likelihood(root * residuals) / np.sqrt(len(pairs))
    return float(np.log(on + off).sum()) + relief


def _density_of_relief(pairs: RayPairs, motion: EssentialMotion, noise: Noise) -> float:
    """Logarithm of the likelihood of a motion over a scene with relief; all motions with the same noise."""
    return noise.log_likelihood(np.sqrt(pairs.weights)[:, None] * motion.residuals(pairs))


def _density_before(inside: RayPairs, motion: Any, prior: MotionPrior) -> float:
    plane = fit_plane(inside.x0, inside.x1, motion.rotation, motion.translation)
    return prior.log_density(motion.rotation, motion.translation, np.zeros(3) if plane is None else plane)


def _result(
    pairs: RayPairs, motion: Any, steps: np.ndarray, geometry: Geometry, noise: float, reach: float, reason: str
) -> RelativePose:
    pose = EssentialMotion(motion.rotation, motion.translation)
    distances = np.abs(pose.residuals(pairs)[:, 0])
    inliers = distances < reach
    if not inliers.any() or in_front(pairs.x0[inliers], pairs.x1[inliers], pose.rotation, pose.translation) < 0.5:
        return failed_pose(len(pairs), "most matches would lie behind the cameras")
    angle = float(np.median(parallax(pairs.x0[inliers], pairs.x1[inliers], pose.rotation)))
    covariance = pose_covariance(steps, pose.translation, angle, noise * pairs.pixel)
    residual = float(np.median(distances[inliers]))
    return RelativePose(
        pose.rotation,
        pose.translation,
        geometry,
        inliers,
        float(np.degrees(angle)),
        residual,
        reason,
        covariance,
        noise,
    )
