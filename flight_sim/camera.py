"""The camera: its pinhole model with plumb_bob distortion, its pose in the world, and its lens.

World: ENU, metres, ground at z = 0. Camera: optical frame, x right, y down, z forward (REP-103). Pixels: the centre of
the top-left pixel is (0, 0), as in OpenCV.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

Distortion = tuple[float, float, float, float, float]  # plumb_bob: k1, k2, p1, p2, k3
NO_DISTORTION: Distortion = (0.0, 0.0, 0.0, 0.0, 0.0)
_UNDISTORT_ITERATIONS, _UNDISTORT_EPSILON = 12, 1e-7


@dataclass(frozen=True)
class PinholeCamera:
    """Intrinsics in pixels and distortion coefficients."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: Distortion = NO_DISTORTION

    @property
    def matrix(self) -> np.ndarray:
        """K, (3, 3) float64."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def is_undistorted(self) -> bool:
        """Whether all distortion coefficients are 0."""
        return not any(self.distortion)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Distorted pixels (..., 2) of points (..., 3) in the optical frame; only meaningful where z > 0."""
        x, y = points[..., 0] / points[..., 2], points[..., 1] / points[..., 2]
        if not self.is_undistorted:
            k1, k2, p1, p2, k3 = self.distortion
            r2 = x * x + y * y
            radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
            x, y = (
                x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x),
                y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y,
            )
        return np.stack([x * self.fx + self.cx, y * self.fy + self.cy], axis=-1)

    def undistort(self, pixels: np.ndarray) -> np.ndarray:
        """Undistorted pixels (N, 2) float64, for the same K, of distorted pixels (N, 2)."""
        if self.is_undistorted:
            return np.asarray(pixels, np.float64)
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _UNDISTORT_ITERATIONS, _UNDISTORT_EPSILON)
        points = np.ascontiguousarray(pixels, np.float64).reshape(-1, 1, 2)
        K, D = self.matrix, np.array(self.distortion)
        return cv2.undistortPointsIter(points, K, D, np.eye(3), K, criteria).reshape(-1, 2)


def camera_with_fov(
    width: int, height: int, horizontal_fov_deg: float, distortion: Distortion = NO_DISTORTION
) -> PinholeCamera:
    """A camera with square pixels and its principal point at the middle of the image."""
    focal = 0.5 * width / math.tan(math.radians(horizontal_fov_deg) / 2.0)
    return PinholeCamera(width, height, focal, focal, (width - 1) / 2.0, (height - 1) / 2.0, distortion)


def camera_pose(position: np.ndarray, yaw: float, pitch: float, roll: float = 0.0) -> np.ndarray:
    """T_world_camera (4, 4) float64 for a position (3,) in metres and angles in radians.

    `yaw`: heading of the optical axis over ground, counter-clockwise from east (at nadir: heading of the image's top);
    `pitch`: angle of the optical axis above the horizon, -pi/2 at nadir; `roll`: rotation about the optical axis,
    clockwise as seen by the camera.
    """
    cos_pitch, sin_pitch = math.cos(pitch), math.sin(pitch)
    forward = np.array([cos_pitch * math.cos(yaw), cos_pitch * math.sin(yaw), sin_pitch])
    right = np.array([math.sin(yaw), -math.cos(yaw), 0.0])
    down = np.cross(forward, right)
    pose = np.eye(4)
    pose[:3, 0] = math.cos(roll) * right + math.sin(roll) * down
    pose[:3, 1] = math.cos(roll) * down - math.sin(roll) * right
    pose[:3, 2] = forward
    pose[:3, 3] = position
    return pose


def world_to_camera(points: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """World points (..., 3) in the optical frame of a camera at `pose` = T_world_camera."""
    return (points - pose[:3, 3]) @ pose[:3, :3]


@dataclass(frozen=True)
class Lens:
    """How the distorted image of `camera` is resampled from an undistorted one.

    `undistorted`: a camera with the same focal lengths, whose image is just large enough; `grid` (H, W, 2) float32: the
    undistorted pixel (x, y) that each pixel of the camera's image shows.
    """

    camera: PinholeCamera
    undistorted: PinholeCamera
    grid: np.ndarray


def lens_of(camera: PinholeCamera) -> Lens:
    """The lens of a camera; takes about a second for a distorted full-HD camera, so keep it."""
    pixels = np.empty((camera.height, camera.width, 2), np.float32)
    pixels[..., 0] = np.arange(camera.width)
    pixels[..., 1] = np.arange(camera.height)[:, None]
    if camera.is_undistorted:
        return Lens(camera, camera, pixels)
    seen = camera.undistort(pixels.reshape(-1, 2)).reshape(pixels.shape)
    left, top = np.floor(seen.min(axis=(0, 1))).astype(int) - 1
    right, bottom = np.ceil(seen.max(axis=(0, 1))).astype(int) + 1
    undistorted = PinholeCamera(
        width=int(right - left + 1),
        height=int(bottom - top + 1),
        fx=camera.fx,
        fy=camera.fy,
        cx=camera.cx - left,
        cy=camera.cy - top,
    )
    return Lens(camera, undistorted, (seen - [left, top]).astype(np.float32))
