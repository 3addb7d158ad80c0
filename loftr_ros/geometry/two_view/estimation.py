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

from loftr_ros.geometry.rays import RayPairs, match_weights, ray_pairs
from loftr_ros.geometry.sampling import spread_sample
from loftr_ros.geometry.triangulation import in_front, parallax
from loftr_ros.geometry.two_view.ambiguity import NO_PRIOR, MotionPrior
from loftr_ros.geometry.two_view.essential import EssentialMotion, fit_essential
from loftr_ros.geometry.two_view.homography import (
    PlaneMotion,
    Turn,
    decompose_homography,
    fit_homography,
    fit_turn,
    homography_residuals,
    visible_motions,
)
from loftr_ros.geometry.two_view.plane_choice import choose_plane_motion
from loftr_ros.geometry.two_view.relief import weighed_by_relief
from loftr_ros.geometry.uncertainty.covariance import (
    CURVATURE,
    CURVATURE_OF_PLANE,
    pose_covariance,
    step_covariance,
    turn_covariance,
    unknown_covariance,
)
from loftr_ros.geometry.uncertainty.dependence import variance_inflation
from loftr_ros.geometry.uncertainty.noise import FLOOR, Noise
from loftr_ros.geometry.uncertainty.refinement import Refined, refine
from perception_common.cameras.camera import Camera
from perception_common.geometry import transform

_REACH = 3.0  # sigma within which a match agrees with a pose
_TO_POINT = 1.147  # the same probability (99.7 %) for a distance with two components: sqrt(11.83) / 3
_HIGHEST_NOISE = 4.0  # thresholds
_SIGNIFICANT = 40.0  # twice the logarithm of a likelihood ratio; noise alone exceeds it once in 6 million pairs
_STILL = 0.3  # pixels; matchers err alike on neighbouring matches, and that much is no motion
_POINT_TO_LINE = 1.746  # median length of a residual with two components over that of one: 1.1774 / 0.6745
_SAMPLE = 500  # matches that are enough to find a motion; all of them refine it
_ROUGH = 0.5  # standard deviations to which a motion is refined that is not the last word
_FEWER, _STEPS = 200, 4  # matches and iterations that are enough to compare motions by
_FEW = 0.3  # share of inliers of the sample below which all matches are searched


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
    few = pairs[spread_sample(pairs, _SAMPLE)]
    fit = fit_essential(few, settings.threshold, settings.estimator, settings.seed)
    if len(few) < count and (fit is None or fit.inliers.mean() < _FEW):
        few = pairs
        fit = fit_essential(few, settings.threshold, settings.estimator, settings.seed)
    if fit is None:
        return failed_pose(count, "no essential matrix explains the matches")
    if fit.inliers.sum() < least:
        return failed_pose(count, f"{fit.inliers.sum()} inliers of {len(few)} matches, at least {least} are needed")

    highest = _HIGHEST_NOISE * settings.threshold
    start = Noise(max(settings.threshold / 2, FLOOR), float(np.clip(fit.inliers.mean(), 0.05, 0.95)), pairs.extent)
    rough = refine(few, replace(fit.motion, noise=start.sigma), start, highest, _ROUGH)
    essential = refine(pairs, replace(rough.motion, noise=rough.noise.sigma), rough.noise, highest, _ROUGH)
    sigma = essential.noise.sigma
    if sigma >= 0.99 * highest:
        return failed_pose(count, f"the matches agree no better than to {sigma:.1f} pixels")
    reach = max(settings.threshold, _REACH * sigma)
    agreeing = essential.distances < reach
    if agreeing.sum() < least:
        return failed_pose(count, f"{agreeing.sum()} inliers of {count} matches, at least {least} are needed")

    inside = pairs[agreeing]
    some = inside[spread_sample(inside, _SAMPLE)]
    H = fit_homography(some, np.sqrt(2) * _TO_POINT * reach, settings.estimator, settings.seed)
    if H is None:  # as for matches on one line; a rotation is a homography too
        H = fit_turn(inside).rotation
    explained = float(np.mean(np.linalg.norm(homography_residuals(inside, H), axis=1) < _TO_POINT * reach))
    if explained < settings.planar_ratio:
        shaped = weighed_by_relief(pairs, H, essential.weights / pairs.weights)
        starts = [
            EssentialMotion(m.rotation, m.translation, sigma) for m in visible_motions(decompose_homography(H), some)
        ]
        return _general(shaped, [essential.motion, *starts], essential.noise, reach, highest)

    plane = None
    if motions := visible_motions(decompose_homography(H), some):
        rough_plane = refine(some, motions[0], essential.noise, highest, _ROUGH)
        plane = refine(pairs, rough_plane.motion, rough_plane.noise, highest)
    nearest = fit_turn(inside)
    if plane is None or np.median(np.linalg.norm(nearest.residuals(inside), axis=1)) < reach:
        turn = refine(pairs, nearest, essential.noise, highest)
        if plane is None or _is_turn(pairs, turn, plane):
            return _rotation_only(pairs, turn, reach)
    return _planar(pairs, essential, plane, reach, explained, highest, prior)


def _is_turn(pairs: RayPairs, turn: Refined[Turn], plane: Refined[PlaneMotion]) -> bool:
    """Say whether the plane and the translation explain nothing that the rotation does not."""
    gain = 2.0 * (plane.likelihood - plane.noise.log_likelihood(pairs.roots * turn.residuals))
    return bool(gain < _SIGNIFICANT or np.median(turn.distances[plane.distances < _REACH * plane.noise.sigma]) < _STILL)


def _general(
    pairs: RayPairs, starts: list[EssentialMotion], noise: Noise, reach: float, highest: float
) -> RelativePose:
    """Refine the most likely motion: from one start alone it may be a local maximum that wrong matches favour."""
    few = pairs[spread_sample(pairs, _FEWER)]
    rough = [refine(few, start, noise, highest, _ROUGH, _STEPS) for start in starts]
    best = max(rough, key=lambda refined: refined.likelihood)
    essential = refine(pairs, _facing(few[best.distances < reach], best.motion), noise, highest)
    steps = variance_inflation(pairs, essential) * step_covariance(pairs, essential)
    return _result(pairs, essential.motion, steps, Geometry.GENERAL, essential.noise.sigma, reach, "")


def _facing(inside: RayPairs, motion: EssentialMotion) -> EssentialMotion:
    """Of a motion and its opposite, which leave the same residuals, the one that sees the matches before it."""
    ahead = in_front(inside.x0, inside.x1, motion.rotation, motion.translation)
    behind = in_front(inside.x0, inside.x1, motion.rotation, -motion.translation)
    return motion if ahead >= behind else replace(motion, translation=-motion.translation)


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
        turn_covariance(variance_inflation(pairs, turn) * step_covariance(pairs, turn)),
        turn.noise.sigma,
    )


def _planar(
    pairs: RayPairs,
    essential: Refined[EssentialMotion],
    plane: Refined[PlaneMotion],
    reach: float,
    explained: float,
    highest: float,
    prior: MotionPrior,
) -> RelativePose:
    chosen = choose_plane_motion(pairs, essential, plane, reach, highest, prior)
    reason = f"a homography explains {100 * explained:.0f} % of the inliers: the scene is nearly a plane"
    if chosen.probability < 0.99:
        reason += f"; the chance that another of its motions is the true one is {100 * (1 - chosen.probability):.0f} %"
    pose = _result(pairs, chosen.motion, chosen.steps, Geometry.PLANAR, chosen.noise, reach, reason, chosen.on_plane)
    return replace(pose, covariance=pose.covariance + chosen.doubt)


def _result(
    pairs: RayPairs,
    motion: Any,
    steps: np.ndarray,
    geometry: Geometry,
    noise: float,
    reach: float,
    reason: str,
    on_plane: bool = False,
) -> RelativePose:
    pose = EssentialMotion(motion.rotation, motion.translation)
    distances = np.abs(pose.residuals(pairs)[:, 0])
    inliers = distances < reach
    if not inliers.any() or in_front(pairs.x0[inliers], pairs.x1[inliers], pose.rotation, pose.translation) < 0.5:
        return failed_pose(len(pairs), "most matches would lie behind the cameras")
    angle = float(np.median(parallax(pairs.x0[inliers], pairs.x1[inliers], pose.rotation)))
    curvature = CURVATURE_OF_PLANE if on_plane else CURVATURE
    covariance = pose_covariance(steps, pose.translation, angle, noise * pairs.pixel, curvature)
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
