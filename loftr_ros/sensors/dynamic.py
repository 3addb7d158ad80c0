"""Which matches lie on things that may move: on detected vehicles and people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loftr_ros.geometry.rays import ray_pairs
from loftr_ros.geometry.two_view.ambiguity import NO_PRIOR, MotionPrior
from loftr_ros.geometry.two_view.essential import EssentialMotion
from loftr_ros.geometry.two_view.estimation import Geometry, RelativePose, TwoViewSettings, estimate_relative_pose
from loftr_ros.sensors.settings import DEFAULT_DYNAMIC, DEFAULT_TWO_VIEW, DynamicSettings
from loftr_ros.sensors.suite import FrameReadings
from perception_common.cameras.camera import Camera

_REACH = 3.0  # sigma within which a match agrees with a pose


@dataclass(frozen=True, eq=False)
class DynamicMatches:
    """flags: (N,) bool, on something that may move in one of the images. weights: (N,) for the estimation, 0 to 1.

    reason: why an image could not be looked at (no detections near it), else empty.
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
    """Flag the matches (N, 2), pixels of the original images, that lie on detections of either image.

    camera0, camera1: the cameras, or width and height of the images.
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
    """Boxes (N, 4), x0 y0 x1 y1 in pixels of an image of this size, where something may be; why there are none."""
    aged = readings.objects
    if aged is None:
        return np.zeros((0, 4)), "no detections have come"
    if aged.age > settings.tolerance:
        return np.zeros((0, 4)), f"the nearest detections are {aged.age:.2f} s away, more than {settings.tolerance:g} s"
    objects = aged.value
    wanted = np.array([name in settings.classes for name in objects.names], bool) & (objects.scores >= settings.score)
    ratio = np.array(size) / np.array([objects.width, objects.height])
    low, high = ((objects.boxes[wanted][:, k : k + 2] + 0.5) * ratio - 0.5 for k in (0, 2))
    longer = np.max(high - low, axis=1, keepdims=True, initial=0.0)
    reach = settings.enlarge * (high - low) + settings.margin + settings.speed * aged.age * longer
    return np.hstack([low - reach, high + reach]), ""


def inside_any(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Whether points (N, 2) lie in one of the boxes (M, 4), (N,) bool."""
    inside: np.ndarray = np.zeros(len(points), bool)
    for x0, y0, x1, y1 in boxes:
        inside |= (points[:, 0] >= x0) & (points[:, 0] <= x1) & (points[:, 1] >= y0) & (points[:, 1] <= y1)
    return inside


def estimate_beside_traffic(
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
    """Estimate the relative pose (see `estimate_relative_pose`) from the matches that lie on nothing that may move.

    Where flagged matches have a weight, those of them that agree with that pose (as on parked cars) then count with it,
    and where the others alone are too few for a pose, all flagged ones do. They are not weighed down at once: traffic
    agrees with itself, and the sampling that a robust fit begins with would find its motion whatever the weights.
    """

    def estimate(weights: np.ndarray) -> RelativePose:
        return estimate_relative_pose(
            points0,
            points1,
            camera0,
            camera1,
            settings,
            confidence=confidence,
            spread=spread,
            weights=weights,
            prior=prior,
        )

    flags, weights = moving.flags, moving.weights
    pose = estimate(np.where(flags, 0.0, weights))
    if not (weights[flags] > 0).any() or pose.geometry == Geometry.ROTATION_ONLY:
        return pose
    if pose.geometry == Geometry.FAILED:
        return estimate(weights)
    pairs, usable = ray_pairs(points0, points1, camera0, camera1)
    off = EssentialMotion(pose.rotation, pose.translation).residuals(pairs)[:, 0]
    agrees = ~flags
    agrees[usable] |= np.abs(off) < _REACH * pose.noise
    return estimate(np.where(agrees, weights, 0.0))
