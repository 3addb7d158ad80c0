"""Two-view geometry: from matched points and two cameras to a relative pose with its covariance.

How a pair is classified (after Schoenberger and Frahm, "Structure-from-Motion Revisited", CVPR 2016, section 4.1), with
the values of thresholds.py:
1. FAILED: too few matches agree on an essential matrix, or they agree only with a noise above MAX_NOISE thresholds.
2. GENERAL: a homography explains fewer than `planar_ratio` of the inliers of the essential matrix.
3. ROTATION_ONLY: otherwise, if translation and plane, five parameters more than a rotation, do not raise the
   log-likelihood significantly (rotation_test.py), also with relief over the plane where it is visible.
4. PLANAR: otherwise. A plane allows two motions; the one that fits the prior and the matches off the plane is chosen,
   and the covariance includes the probability of the other one. Visible relief is a part of the model (relief_fit.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from loftr_ros.geometry.normal import INLIER_SIGMAS, POINT_OVER_LINE_MEDIAN, POINT_OVER_LINE_REACH
from loftr_ros.geometry.rays import RayPairs, match_weights, ray_pairs
from loftr_ros.geometry.sampling import spread_sample
from loftr_ros.geometry.triangulation import in_front, parallax
from loftr_ros.geometry.two_view import thresholds
from loftr_ros.geometry.two_view.ambiguity import NO_PRIOR, MotionPrior
from loftr_ros.geometry.two_view.chance import log_chance_sets
from loftr_ros.geometry.two_view.essential import EssentialFit, EssentialMotion, facing, fit_essential
from loftr_ros.geometry.two_view.homography.decomposition import decompose_homography, equal_motions, visible_motions
from loftr_ros.geometry.two_view.homography.fit import fit_homography, fit_rotation
from loftr_ros.geometry.two_view.homography.motion import PlaneMotion, RotationMotion
from loftr_ros.geometry.two_view.homography.relief_motion import ReliefMotion
from loftr_ros.geometry.two_view.homography.sampson import homography_residuals
from loftr_ros.geometry.two_view.plane_choice import choose_plane_motion
from loftr_ros.geometry.two_view.relative_pose import (
    DEFAULT_SETTINGS,
    Geometry,
    RelativePose,
    TwoViewSettings,
    failed_pose,
)
from loftr_ros.geometry.two_view.relief import weighed_by_relief
from loftr_ros.geometry.two_view.relief_fit import ReliefFit, as_points, fit_reliefs, shows_relief
from loftr_ros.geometry.two_view.rotation_test import is_rotation_only
from loftr_ros.geometry.uncertainty.covariance import (
    ESSENTIAL_CURVATURE,
    PLANE_CURVATURE,
    pose_covariance,
    rotation_only_covariance,
    step_covariance,
    unknown_covariance,
)
from loftr_ros.geometry.uncertainty.dependence import variance_inflation
from loftr_ros.geometry.uncertainty.noise import NOISE_FLOOR, Noise
from loftr_ros.geometry.uncertainty.refinement import Refined, refine
from perception_common.cameras.camera import Camera


def estimate_relative_pose(
    points0: np.ndarray,
    points1: np.ndarray,
    camera0: Camera,
    camera1: Camera,
    settings: TwoViewSettings = DEFAULT_SETTINGS,
    *,
    confidence: np.ndarray | None = None,
    spread: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    prior: MotionPrior = NO_PRIOR,
) -> RelativePose:
    """Estimate the pose of camera 1 (newer) in camera 0 (older) from matches (N, 2), pixels of the original images.

    confidence, spread: (N,), scores of the matcher that weigh the refinement, see `match_weights`. weights: (N,),
    factors of these weights; 0 excludes a match, for example on a moving object. prior: chooses between the two motions
    of a plane. Degenerate input gives a result with its geometry and reason, never an exception.
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


@dataclass(frozen=True, eq=False)
class _EssentialEstimate:
    """The refined essential matrix, and the bounds that follow from it.

    inlier_distance: pixels from its epipolar line within which a match is an inlier. max_sigma: bound of the noise of
    further refinements, pixels.
    """

    refined: Refined[EssentialMotion]
    inlier_distance: float
    max_sigma: float

    @property
    def inliers(self) -> np.ndarray:
        """(N,) bool."""
        return self.refined.distances < self.inlier_distance


def _estimate(pairs: RayPairs, settings: TwoViewSettings, prior: MotionPrior) -> RelativePose:
    count, least = len(pairs), settings.min_inliers
    needed = max(least, thresholds.MIN_MATCHES)
    if count < needed:
        return failed_pose(count, f"{count} matches, at least {needed} are needed")
    sample, fit = _sample_essential(pairs, settings)
    if fit is None:
        return failed_pose(count, "no essential matrix explains the matches")
    if fit.inliers.sum() < least:
        return failed_pose(count, f"{fit.inliers.sum()} inliers of {len(sample)} matches, at least {least} are needed")
    essential = _refine_essential(pairs, sample, fit, settings.threshold)
    sigma = essential.refined.noise.sigma
    if sigma >= thresholds.AT_MAX_NOISE * essential.max_sigma:
        return failed_pose(count, f"the matches agree no better than to {sigma:.1f} pixels")
    agreeing = essential.inliers
    if agreeing.sum() < least:
        return failed_pose(count, f"{agreeing.sum()} inliers of {count} matches, at least {least} are needed")
    if log_chance_sets(essential.refined.distances, essential.inlier_distance, pairs.extent) > math.log(
        thresholds.CHANCE_SETS
    ):
        return failed_pose(count, f"{agreeing.sum()} inliers of {count} matches may agree by chance")
    return _classify(pairs, essential, settings, prior)


def _sample_essential(pairs: RayPairs, settings: TwoViewSettings) -> tuple[RayPairs, EssentialFit | None]:
    """Fit an essential matrix to a sample of the matches, or to all of them where few of the sample are inliers."""
    sample = pairs[spread_sample(pairs, thresholds.FIT_SAMPLE)]
    fit = fit_essential(sample, settings.threshold, settings.estimator, settings.seed)
    if len(sample) < len(pairs) and (fit is None or fit.inliers.mean() < thresholds.MIN_SAMPLE_INLIERS):
        sample = pairs
        fit = fit_essential(sample, settings.threshold, settings.estimator, settings.seed)
    return sample, fit


def _refine_essential(pairs: RayPairs, sample: RayPairs, fit: EssentialFit, threshold: float) -> _EssentialEstimate:
    """Refine a fit on its sample, then on all matches."""
    max_sigma = thresholds.MAX_NOISE * threshold
    inlier_ratio = float(np.clip(fit.inliers.mean(), 0.05, 0.95))
    start = Noise(max(threshold / 2, NOISE_FLOOR), inlier_ratio, pairs.extent)
    tolerance = thresholds.ROUGH_TOLERANCE
    rough = refine(sample, replace(fit.motion, noise=start.sigma), start, max_sigma, tolerance)
    refined = refine(pairs, replace(rough.motion, noise=rough.noise.sigma), rough.noise, max_sigma, tolerance)
    return _EssentialEstimate(refined, max(threshold, INLIER_SIGMAS * refined.noise.sigma), max_sigma)


def _classify(
    pairs: RayPairs, essential: _EssentialEstimate, settings: TwoViewSettings, prior: MotionPrior
) -> RelativePose:
    """Compare a homography and a rotation with the essential matrix, and estimate the pose of the class they give."""
    noise, max_sigma = essential.refined.noise, essential.max_sigma
    point_distance = POINT_OVER_LINE_REACH * essential.inlier_distance
    inside = pairs[essential.inliers]
    sample = inside[spread_sample(inside, thresholds.FIT_SAMPLE)]
    # The Sampson distance divides an error between both images; in one image alone it is sqrt(2) times as large.
    reprojection_error = np.sqrt(2) * POINT_OVER_LINE_REACH * essential.inlier_distance
    H = fit_homography(sample, reprojection_error, settings.estimator, settings.seed)
    if H is None:  # for example matches on one line; a rotation is a homography too
        turn = fit_rotation(sample, reprojection_error, settings.seed)
        H = np.eye(3) if turn is None else turn.rotation
    explained = float(np.mean(np.linalg.norm(homography_residuals(inside, H), axis=1) < point_distance))
    plane_motions = visible_motions(decompose_homography(H), sample)
    if explained < settings.planar_ratio:
        return _general(pairs, essential, H, plane_motions, settings)

    plane = None
    if plane_motions:
        rough = refine(sample, plane_motions[0], noise, max_sigma, thresholds.ROUGH_TOLERANCE)
        plane = refine(pairs, rough.motion, rough.noise, max_sigma)
    rotation = fit_rotation(sample, reprojection_error, settings.seed)
    if plane is None:
        if rotation is None:
            return failed_pose(len(pairs), "neither a translation nor a rotation explains the matches")
        return _rotation_only(pairs, refine(pairs, rotation, noise, max_sigma), point_distance, settings)
    reliefs: list[ReliefFit] = []
    if shows_relief(essential.refined, plane):
        reliefs = fit_reliefs(pairs, essential.refined, plane, equal_motions(plane.motion, inside), max_sigma)
    if rotation is not None and _fits(rotation, inside, essential.inlier_distance):
        turned = refine(pairs, rotation, noise, max_sigma)
        if _is_rotation_only(pairs, turned, plane, reliefs, max_sigma):
            return _rotation_only(pairs, turned, point_distance, settings)
    return _planar(pairs, essential, plane, reliefs, explained, settings, prior)


def _is_rotation_only(
    pairs: RayPairs,
    turned: Refined[RotationMotion],
    plane: Refined[PlaneMotion],
    reliefs: list[ReliefFit],
    max_sigma: float,
) -> bool:
    """Tell whether neither the plane nor the best fit with relief shows a translation.

    A plane alone overlooks small ones, as relief looks like noise to it.
    """
    if not is_rotation_only(pairs, turned, plane, noise=plane.noise, log_likelihood=plane.log_likelihood):
        return False
    if not reliefs:
        return True
    noise, log_likelihood = as_points(reliefs[0], max_sigma)
    best = reliefs[0].refined
    return is_rotation_only(reliefs[0].pairs, turned, best, noise=noise, log_likelihood=log_likelihood)


def _fits(rotation: RotationMotion, inside: RayPairs, distance: float) -> bool:
    """Return whether a rotation leaves most matches within a distance, pixels; otherwise it needs no closer look."""
    return bool(np.median(np.linalg.norm(rotation.residuals(inside), axis=1)) < distance)


def _general(
    pairs: RayPairs,
    essential: _EssentialEstimate,
    H: np.ndarray,
    plane_motions: list[PlaneMotion],
    settings: TwoViewSettings,
) -> RelativePose:
    """Refine the most likely of several start motions: a single one may lead to a local maximum near wrong matches."""
    noise, max_sigma, inlier_distance = essential.refined.noise, essential.max_sigma, essential.inlier_distance
    weighed = weighed_by_relief(pairs, H, essential.refined.weights / pairs.weights)
    starts = [
        essential.refined.motion,
        *(EssentialMotion(motion.rotation, motion.translation, noise.sigma) for motion in plane_motions),
    ]
    sample = weighed[spread_sample(weighed, thresholds.COMPARE_SAMPLE)]
    rough = [
        refine(sample, start, noise, max_sigma, thresholds.ROUGH_TOLERANCE, thresholds.COMPARE_ITERATIONS)
        for start in starts
    ]
    best = max(rough, key=lambda refined: refined.log_likelihood)
    refined = refine(weighed, facing(sample[best.distances < inlier_distance], best.motion), noise, max_sigma)
    steps = (
        variance_inflation(weighed, refined) * step_covariance(weighed, refined) if settings.with_covariance else None
    )
    return _translating_pose(
        weighed, refined.motion, steps, Geometry.GENERAL, noise=refined.noise.sigma, inlier_distance=inlier_distance
    )


def _rotation_only(
    pairs: RayPairs, rotation: Refined[RotationMotion], point_distance: float, settings: TwoViewSettings
) -> RelativePose:
    inliers = rotation.distances < point_distance
    if not inliers.any():
        return failed_pose(len(pairs), "neither a translation nor a rotation explains the matches")
    left = float(np.median(rotation.distances[inliers]))
    covariance = unknown_covariance()
    if settings.with_covariance:
        covariance = rotation_only_covariance(variance_inflation(pairs, rotation) * step_covariance(pairs, rotation))
    return RelativePose(
        rotation=rotation.motion.rotation,
        translation=np.zeros(3),
        geometry=Geometry.ROTATION_ONLY,
        inliers=inliers,
        parallax=0.0,
        residual=left / POINT_OVER_LINE_MEDIAN,
        reason=f"a rotation alone leaves {left:.2f} pixels, no more than noise: no translation is observed",
        covariance=covariance,
        noise=rotation.noise.sigma,
    )


def _planar(
    pairs: RayPairs,
    essential: _EssentialEstimate,
    plane: Refined[PlaneMotion],
    reliefs: list[ReliefFit],
    explained: float,
    settings: TwoViewSettings,
    prior: MotionPrior,
) -> RelativePose:
    chosen = choose_plane_motion(
        pairs,
        essential.refined,
        plane,
        reliefs,
        inlier_distance=essential.inlier_distance,
        prior=prior,
        with_covariance=settings.with_covariance,
    )
    reason = f"a homography explains {100 * explained:.0f} % of the inliers: the scene is nearly a plane"
    if chosen.probability < thresholds.CERTAIN_PROBABILITY:
        reason += f"; the chance that another of its motions is the true one is {100 * (1 - chosen.probability):.0f} %"
    pose = _translating_pose(
        pairs,
        chosen.motion,
        chosen.steps,
        Geometry.PLANAR,
        noise=chosen.noise,
        inlier_distance=essential.inlier_distance,
        reason=reason,
        curvature=PLANE_CURVATURE,
    )
    return replace(pose, covariance=pose.covariance + chosen.alternatives)


def _translating_pose(
    pairs: RayPairs,
    motion: PlaneMotion | ReliefMotion | EssentialMotion,
    steps: np.ndarray | None,
    geometry: Geometry,
    *,
    noise: float,
    inlier_distance: float,
    reason: str = "",
    curvature: float = ESSENTIAL_CURVATURE,
) -> RelativePose:
    """Return the pose of a motion with its inliers and covariance; FAILED if most inliers would lie behind a camera.

    steps, curvature: see `pose_covariance`; without steps the covariance is that of an unknown pose. noise: of the
    fitted model, pixels. inlier_distance: pixels.
    """
    pose = EssentialMotion(motion.rotation, motion.translation)
    distances = np.abs(pose.residuals(pairs)[:, 0])
    inliers = distances < inlier_distance
    x0, x1 = pairs.x0[inliers], pairs.x1[inliers]
    if not inliers.any() or in_front(x0, x1, pose.rotation, pose.translation) < thresholds.MIN_IN_FRONT:
        return failed_pose(len(pairs), "most matches would lie behind the cameras")
    angle = float(np.median(parallax(x0, x1, pose.rotation)))
    covariance = unknown_covariance()
    if steps is not None:
        covariance = pose_covariance(steps, pose.translation, angle, noise * pairs.pixel, curvature)
    return RelativePose(
        rotation=pose.rotation,
        translation=pose.translation,
        geometry=geometry,
        inliers=inliers,
        parallax=float(np.degrees(angle)),
        residual=float(np.median(distances[inliers])),
        reason=reason,
        covariance=covariance,
        noise=noise,
    )
