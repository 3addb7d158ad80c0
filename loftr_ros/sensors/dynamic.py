"""Matches on objects that may move (detected vehicles and people), and a relative pose without the moving ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from loftr_ros.geometry.normal import INLIER_SIGMAS
from loftr_ros.geometry.rays import ray_pairs
from loftr_ros.geometry.two_view.ambiguity import NO_PRIOR, MotionPrior
from loftr_ros.geometry.two_view.essential import EssentialMotion
from loftr_ros.geometry.two_view.estimation import estimate_relative_pose
from loftr_ros.geometry.two_view.relative_pose import Geometry, RelativePose, TwoViewSettings
from loftr_ros.sensors.settings import DEFAULT_DYNAMIC, DEFAULT_TWO_VIEW, DynamicSettings
from loftr_ros.sensors.suite import FrameReadings
from perception_common.cameras.camera import Camera


@dataclass(frozen=True, eq=False)
class DynamicMatches:
    """flags: (N,) bool, on an object that may move, in either image. weights: (N,) for the estimation, 0 to 1.

    reason: why an image has no detections to check, else empty.
    """

    flags: np.ndarray
    weights: np.ndarray
    reason: str


def dynamic_matches(
    points0: np.ndarray,
    points1: np.ndarray,
    camera0: tuple[int, int] | Camera,
    camera1: tuple[int, int] | Camera,
    older: FrameReadings,
    newer: FrameReadings,
    settings: DynamicSettings = DEFAULT_DYNAMIC,
) -> DynamicMatches:
    """Flag the matches (N, 2), pixels of the original images, that lie on detections in either image.

    camera0, camera1: the cameras, or (width, height) of the images.
    """
    flags: np.ndarray = np.zeros(len(points0), bool)
    reasons = []
    for points, camera, readings, which in ((points0, camera0, older, "older"), (points1, camera1, newer, "newer")):
        size = (camera.width, camera.height) if isinstance(camera, Camera) else camera
        boxes, reason = moving_boxes(readings, size, settings)
        flags |= inside_any(points, boxes)
        if reason:
            reasons.append(f"{which} image: {reason}")
    return DynamicMatches(flags, np.where(flags, settings.weight, 1.0), "; ".join(reasons))


def moving_boxes(
    readings: FrameReadings, size: tuple[int, int], settings: DynamicSettings = DEFAULT_DYNAMIC
) -> tuple[np.ndarray, str]:
    """Boxes (N, 4), x0 y0 x1 y1 in pixels of an image of this (width, height), that an object may cover.

    They are the detections, enlarged by a margin and by the possible motion since the detection. Also returns the
    reason why there are no detections, else "".
    """
    aged = readings.objects
    if aged is None:
        return np.zeros((0, 4)), "no detections were received"
    if aged.age > settings.tolerance:
        return np.zeros((0, 4)), f"the nearest detections are {aged.age:.2f} s away, more than {settings.tolerance:g} s"
    objects = aged.value
    wanted = np.array([name in settings.classes for name in objects.names], bool) & (objects.scores >= settings.score)
    ratio = np.array(size) / np.array([objects.width, objects.height])
    low, high = ((objects.boxes[wanted][:, k : k + 2] + 0.5) * ratio - 0.5 for k in (0, 2))
    longer = np.max(high - low, axis=1, keepdims=True, initial=0.0)
    border = settings.enlarge * (high - low) + settings.margin + settings.speed * aged.age * longer
    return np.hstack([low - border, high + border]), ""


def inside_any(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Whether each point (N, 2) lies in one of the boxes (M, 4), (N,) bool."""
    inside: np.ndarray = np.zeros(len(points), bool)
    for x0, y0, x1, y1 in boxes:
        inside |= (points[:, 0] >= x0) & (points[:, 0] <= x1) & (points[:, 1] >= y0) & (points[:, 1] <= y1)
    return inside


def estimate_without_traffic(
    points0: np.ndarray,
    points1: np.ndarray,
    camera0: Camera,
    camera1: Camera,
    moving: DynamicMatches,
    settings: TwoViewSettings = DEFAULT_TWO_VIEW,
    *,
    confidence: np.ndarray | None = None,
    spread: np.ndarray | None = None,
    prior: MotionPrior = NO_PRIOR,
) -> RelativePose:
    """Estimate the relative pose (see `estimate_relative_pose`) without matches on moving objects.

    The first estimate excludes all flagged matches. If flagged matches have a weight above 0, a second one includes
    those that agree with the first (parked cars), or all of them if the first one failed for lack of matches. They are
    not weighed down in a single estimate, because traffic moves consistently: the sampling of a robust fit ignores
    weights and could find the motion of the traffic.
    """
    estimate = partial(
        estimate_relative_pose,
        points0,
        points1,
        camera0,
        camera1,
        settings,
        confidence=confidence,
        spread=spread,
        prior=prior,
    )
    flags, weights = moving.flags, moving.weights
    pose = estimate(weights=np.where(flags, 0.0, weights))
    if not (weights[flags] > 0).any() or pose.geometry == Geometry.ROTATION_ONLY:
        return pose
    if pose.geometry == Geometry.FAILED:
        return estimate(weights=weights)
    pairs, usable = ray_pairs(points0, points1, camera0, camera1)
    off = EssentialMotion(pose.rotation, pose.translation).residuals(pairs)[:, 0]
    agrees = ~flags
    agrees[usable] |= np.abs(off) < INLIER_SIGMAS * pose.noise
    return estimate(weights=np.where(agrees, weights, 0.0))
