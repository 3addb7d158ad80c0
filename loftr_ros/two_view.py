"""Two-view geometry: from matched points and two cameras to a relative pose that says how far it can be trusted."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from perception_common.camera import Camera
from perception_common.errors import InputError

try:
    import poselib
except ImportError:  # no wheel for this platform (aarch64)
    poselib = None


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
    threshold: inlier threshold, pixels of the original images.
    min_inliers: fewer than this many inliers are a failure.
    planar_ratio: inliers of a homography over inliers of the essential matrix from which a scene counts as planar
        (Schoenberger and Frahm, "Structure-from-Motion Revisited", CVPR 2016, section 4.1: 0.8).
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
    the geometry is not GENERAL, else empty.
    """

    rotation: np.ndarray
    translation: np.ndarray
    geometry: Geometry
    inliers: np.ndarray
    parallax: float
    residual: float
    reason: str

    @property
    def matrix(self) -> np.ndarray:
        """T with p_older = T p_newer, (4, 4)."""
        result = np.eye(4)
        result[:3, :3] = self.rotation
        result[:3, 3] = self.translation
        return result


def failed_pose(matches: int, reason: str) -> RelativePose:
    """Return the result for a pair without a pose: the identity, no inliers."""
    return RelativePose(np.eye(3), np.zeros(3), Geometry.FAILED, np.zeros(matches, bool), 0.0, 0.0, reason)


def estimate_relative_pose(
    points0: np.ndarray,
    points1: np.ndarray,
    camera0: Camera,
    camera1: Camera,
    settings: TwoViewSettings = TwoViewSettings(),
) -> RelativePose:
    """Estimate the pose of camera 1 (newer) in camera 0 (older) from matches (N, 2), pixels of the original images.

    Degenerate input is a result with its geometry and reason, never an exception.
    """
    count = len(points0)
    rays0, rays1 = camera0.rays(points0), camera1.rays(points1)
    seen = np.isfinite(rays0).all(axis=1) & np.isfinite(rays1).all(axis=1)  # not where the distortion has no inverse
    if not seen.all():
        pose = _estimate(rays0[seen], rays1[seen], camera0, camera1, settings)
        inliers = np.zeros(count, bool)
        inliers[seen] = pose.inliers
        return replace(pose, inliers=inliers)
    return _estimate(rays0, rays1, camera0, camera1, settings)


def _estimate(
    rays0: np.ndarray, rays1: np.ndarray, camera0: Camera, camera1: Camera, settings: TwoViewSettings
) -> RelativePose:
    count = len(rays0)
    needed = max(settings.min_inliers, 5)  # the five-point solver
    if count < needed:
        return failed_pose(count, f"{count} matches, at least {needed} are needed")
    pixel = 0.5 * (1.0 / _focal(camera0) + 1.0 / _focal(camera1))  # one pixel, as a normalised coordinate
    threshold = settings.threshold * pixel

    estimated = _essential_pose(rays0, rays1, threshold, settings)
    if estimated is None:
        return failed_pose(count, "no essential matrix explains the matches")
    rotation, translation, inliers = estimated
    if inliers.sum() < settings.min_inliers:
        return failed_pose(
            count, f"{inliers.sum()} inliers of {count} matches, at least {settings.min_inliers} are needed"
        )

    turned = _fit_rotation(rays0[inliers], rays1[inliers])
    still = _angles(_homogeneous(rays0[inliers]) @ turned.T, rays1[inliers]) < 2.0 * threshold
    residual = float(np.median(sampson_distance(rays0[inliers], rays1[inliers], rotation, translation))) / pixel
    if still.mean() > settings.planar_ratio:
        reason = f"{100 * still.mean():.0f} % of the inliers move as under a pure rotation"
        return RelativePose(turned.T, np.zeros(3), Geometry.ROTATION_ONLY, inliers, 0.0, residual, reason)

    parallax = float(np.degrees(np.median(_angles(_homogeneous(rays0[inliers]) @ rotation.T, rays1[inliers]))))
    geometry, reason = Geometry.GENERAL, ""
    planar = _homography_inliers(rays0, rays1, threshold, settings) / inliers.sum()
    if planar > settings.planar_ratio:
        geometry = Geometry.PLANAR
        reason = f"a homography explains {100 * min(planar, 1.0):.0f} % of the inliers: the scene is nearly a plane"
    return RelativePose(rotation.T, -rotation.T @ translation, geometry, inliers, parallax, residual, reason)


def sampson_distance(rays0: np.ndarray, rays1: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """First-order distance to the epipolar constraint (Hartley and Zisserman, 2nd edition, section 11.4.3), (N,).

    rays: (N, 2) normalised coordinates; x1 = rotation @ x0 + translation; the unit is that of the rays.
    """
    tx, ty, tz = translation
    essential = np.array([[0, -tz, ty], [tz, 0, -tx], [-ty, tx, 0]]) @ rotation
    x0, x1 = _homogeneous(rays0), _homogeneous(rays1)
    line1, line0 = x0 @ essential.T, x1 @ essential
    algebraic = np.abs(np.sum(x1 * line1, axis=1))
    gradient = np.sqrt(np.sum(line1[:, :2] ** 2, axis=1) + np.sum(line0[:, :2] ** 2, axis=1))
    return algebraic / np.maximum(gradient, 1e-12)


def _focal(camera: Camera) -> float:
    matrix = camera.matrix
    return float(0.5 * (matrix[0, 0] + matrix[1, 1]))


def _homogeneous(rays: np.ndarray) -> np.ndarray:
    return np.column_stack([rays, np.ones(len(rays))])


def _angles(directions: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Angles between (N, 3) directions and (N, 2) rays, radians; exact also when they are tiny."""
    other = _homogeneous(rays)
    return np.arctan2(np.linalg.norm(np.cross(directions, other), axis=1), np.sum(directions * other, axis=1))


def _fit_rotation(rays0: np.ndarray, rays1: np.ndarray) -> np.ndarray:
    """The rotation with x1 ~ R x0, least squares on unit directions (Kabsch), (3, 3)."""
    unit0, unit1 = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (_homogeneous(rays0), _homogeneous(rays1)))
    u, _, vt = np.linalg.svd(unit1.T @ unit0)
    return u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt


def _essential_pose(
    rays0: np.ndarray, rays1: np.ndarray, threshold: float, settings: TwoViewSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(R, t, inliers) with x1 = R x0 + t, |t| = 1, by the chosen estimator; None when it finds nothing."""
    if settings.estimator == "poselib" and poselib is None:
        raise InputError("the estimator poselib is not installed: pip install poselib, or choose opencv")
    if settings.estimator == "opencv" or poselib is None:
        return _essential_opencv(rays0, rays1, threshold, settings.seed)
    return _essential_poselib(rays0, rays1, threshold, settings.seed)


def _essential_poselib(
    rays0: np.ndarray, rays1: np.ndarray, threshold: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    unit_camera = {"model": "SIMPLE_PINHOLE", "width": 2, "height": 2, "params": [1.0, 0.0, 0.0]}
    pose, info = poselib.estimate_relative_pose(
        rays0, rays1, unit_camera, unit_camera, {"max_epipolar_error": threshold, "seed": seed}, {}
    )
    inliers = np.asarray(info["inliers"], bool)
    length = np.linalg.norm(pose.t)
    if not inliers.any() or not np.isfinite(length) or length == 0.0:
        return None
    return np.asarray(pose.R), np.asarray(pose.t) / length, inliers


def _essential_opencv(
    rays0: np.ndarray, rays1: np.ndarray, threshold: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    cv2.setRNGSeed(seed)
    try:
        essential, mask = cv2.findEssentialMat(rays0, rays1, np.eye(3), cv2.USAC_MAGSAC, 0.9999, threshold, 10_000)
    except cv2.error:
        return None
    if essential is None or essential.shape != (3, 3):
        return None
    # Every inlier of the essential matrix stays one: points at infinity do not pass OpenCV's cheirality test.
    chosen = cv2.recoverPose(essential, rays0, rays1, np.eye(3), distanceThresh=1e6, mask=mask.copy())
    return chosen[1], chosen[2][:, 0], mask[:, 0] > 0


def _homography_inliers(rays0: np.ndarray, rays1: np.ndarray, threshold: float, settings: TwoViewSettings) -> int:
    cv2.setRNGSeed(settings.seed)
    _, mask = cv2.findHomography(rays0, rays1, cv2.USAC_MAGSAC, threshold, maxIters=2000, confidence=0.999)
    return 0 if mask is None else int(mask.sum())
