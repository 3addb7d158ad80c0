"""How the view changed since the last keyframe, from matches: overlap, displacement, parallax and rotation."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from loftr_ros.geometry.triangulation import parallax
from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.geometry.two_view.relative_pose import DEFAULT_SETTINGS, Geometry, TwoViewSettings
from loftr_ros.keyframes.policy import ViewChange
from loftr_ros.keyframes.quality import Quality
from loftr_ros.matches import Matches
from perception_common.cameras.camera import Camera
from perception_common.geometry import rotation_angle

Size = tuple[int, int]  # (width, height), pixels

_GRID = 64  # samples of the older image in each direction
_HOMOGRAPHY_TOLERANCE = 0.01  # of the long side; wide, because the scene is not quite a plane (empirical)
_MIN_INLIERS = 12  # of a homography (empirical)
_CELLS = 8  # of the older image in each direction, used without a homography
_ENOUGH_MATCHES = 300  # for rotation and parallax in a keyframe decision; more cost time alone (empirical)


def measure_view_change(
    matches: Matches,
    seconds: float,
    camera0: Camera | None = None,
    camera1: Camera | None = None,
    quality: Quality | None = None,
    settings: TwoViewSettings = DEFAULT_SETTINGS,
) -> ViewChange:
    """Measure the view change between keyframe (image 0) and image (image 1), `seconds` later.

    Parallax and rotation are None without both cameras.
    """
    points0, points1 = matches.points0, matches.points1
    rotation, angle = motion_deg(points0, points1, camera0, camera1, settings) if camera0 and camera1 else (None, None)
    return ViewChange(
        seconds,
        len(matches),
        overlap(points0, points1, matches.size0, matches.size1),
        median_displacement(points0, points1, max(matches.size1)),
        parallax_deg=angle,
        rotation_deg=rotation,
        quality=quality,
    )


def median_displacement(points0: np.ndarray, points1: np.ndarray, long_side: int) -> float:
    """Median distance of matched points (N, 2), pixels, over the long side of the image; 0 without matches."""
    if len(points0) == 0:
        return 0.0
    return float(np.median(np.linalg.norm(points1 - points0, axis=1))) / long_side


def overlap(points0: np.ndarray, points1: np.ndarray, size0: Size, size1: Size) -> float:
    """Share of the older image, 0 to 1, that the newer one still shows, from matches (N, 2), pixels.

    A homography maps samples of the older image to the newer one; those that land inside are seen. The convex hull of
    its inliers is seen in any case, which helps where the scene is not a plane. Without a homography it is the share of
    the 8 x 8 cells of the older image that have a match.
    """
    points0, points1 = np.asarray(points0, np.float64), np.asarray(points1, np.float64)
    if len(points0) == 0:
        return 0.0
    found = _homography(points0, points1, _HOMOGRAPHY_TOLERANCE * max(*size0, *size1))
    if found is None:
        cells = np.floor((points0 + 0.5) / np.array(size0) * _CELLS).clip(0, _CELLS - 1)
        return len(np.unique(cells, axis=0)) / _CELLS**2
    H, inlier = found
    u, v = np.meshgrid(*((np.arange(_GRID) + 0.5) / _GRID * side - 0.5 for side in size0))
    mapped = np.column_stack([u.ravel(), v.ravel(), np.ones(u.size)]) @ H.T
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = mapped[:, 0] / mapped[:, 2], mapped[:, 1] / mapped[:, 2]
    seen = (mapped[:, 2] > 0) & (x > -0.5) & (x < size1[0] - 0.5) & (y > -0.5) & (y < size1[1] - 0.5)
    hull = cv2.contourArea(cv2.convexHull(points0[inlier].astype(np.float32)))
    return max(float(seen.mean()), min(1.0, hull / (size0[0] * size0[1])))


def median_parallax_deg(
    points0: np.ndarray, points1: np.ndarray, camera0: Camera, camera1: Camera, rotation: np.ndarray
) -> float:
    """Median angle, degrees, between the rays of matches (N, 2), pixels, once the rotation is taken out.

    rotation: (3, 3), of the newer camera in the older one, p0 = R p1 + t. 0 where no match has two rays.
    """
    rays0, rays1 = camera0.rays(points0), camera1.rays(points1)
    usable = np.isfinite(rays0).all(axis=1) & np.isfinite(rays1).all(axis=1)
    if not usable.any():
        return 0.0
    x0, x1 = (np.insert(rays[usable], 2, 1.0, axis=1) for rays in (rays0, rays1))
    return float(np.degrees(np.median(parallax(x0, x1, rotation))))


def motion_deg(
    points0: np.ndarray,
    points1: np.ndarray,
    camera0: Camera,
    camera1: Camera,
    settings: TwoViewSettings = DEFAULT_SETTINGS,
) -> tuple[float, float] | tuple[None, None]:
    """Rotation and median parallax, degrees, of the camera between matches (N, 2), pixels; None where there is no pose.

    Both come from a relative pose of some of the matches: a rotation fitted alone would take most of the parallax of a
    flat scene for its own. Over a plane the pose may still be the wrong one of two, with too small a parallax.
    """
    every = max(1, -(-len(points0) // _ENOUGH_MATCHES))
    some0, some1 = points0[::every], points1[::every]
    pose = estimate_relative_pose(some0, some1, camera0, camera1, replace(settings, with_covariance=False))
    if pose.geometry == Geometry.FAILED:
        return None, None
    return float(np.degrees(rotation_angle(pose.rotation))), pose.parallax


def _homography(points0: np.ndarray, points1: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray] | None:
    """H (3, 3) with p1 ~ H p0 and its inliers (N,) bool, signed so that they lie in front; None for too few."""
    if len(points0) < _MIN_INLIERS:
        return None
    cv2.setRNGSeed(0)
    H, mask = cv2.findHomography(points0, points1, cv2.USAC_MAGSAC, reach, maxIters=500, confidence=0.999)
    if H is None or not np.isfinite(H).all() or mask.sum() < max(_MIN_INLIERS, 0.2 * len(points0)):
        return None
    inlier = mask.ravel().astype(bool)
    depth = np.insert(points0[inlier], 2, 1.0, axis=1) @ H[2]
    return (H if np.median(depth) > 0 else -H), inlier
