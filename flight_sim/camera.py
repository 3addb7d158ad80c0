"""A pinhole camera with plumb_bob distortion, its poses in the world, and the map from a pinhole raster to its image.

World: ENU, metres, ground at z = 0. Camera: optical frame, x right, y down, z forward (REP-103). Pixels: the centre of
the top-left pixel is (0, 0), as in OpenCV.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

NO_DISTORTION = (0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Camera:
    """Intrinsics in pixels; `distortion` is plumb_bob: k1, k2, p1, p2, k3."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, float, float, float, float] = NO_DISTORTION

    @property
    def matrix(self) -> np.ndarray:
        """K, (3, 3) float64."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def is_pinhole(self) -> bool:
        """Whether there is no distortion at all."""
        return not any(self.distortion)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of points (..., 3) in the optical frame, distorted; only meaningful where z > 0."""
        x, y = points[..., 0] / points[..., 2], points[..., 1] / points[..., 2]
        if not self.is_pinhole:
            k1, k2, p1, p2, k3 = self.distortion
            r2 = x * x + y * y
            radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
            x, y = (
                x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x),
                y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y,
            )
        return np.stack([x * self.fx + self.cx, y * self.fy + self.cy], axis=-1)

    def undistort(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (N, 2) float64 where a pinhole camera with the same K sees what this camera sees at `pixels`."""
        if self.is_pinhole:
            return np.asarray(pixels, np.float64)
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 12, 1e-7)
        points = np.ascontiguousarray(pixels, np.float64).reshape(-1, 1, 2)
        K, D = self.matrix, np.array(self.distortion)
        return cv2.undistortPointsIter(points, K, D, np.eye(3), K, criteria).reshape(-1, 2)


def camera_with_fov(
    width: int,
    height: int,
    horizontal_fov_deg: float,
    distortion: tuple[float, float, float, float, float] = NO_DISTORTION,
) -> Camera:
    """A camera with square pixels and its principal point at the middle of the image."""
    focal = 0.5 * width / math.tan(math.radians(horizontal_fov_deg) / 2.0)
    return Camera(width, height, focal, focal, (width - 1) / 2.0, (height - 1) / 2.0, distortion)


def camera_pose(position: np.ndarray, yaw: float, pitch: float, roll: float = 0.0) -> np.ndarray:
    """T_world_camera (4, 4) float64 for a position (3,) in metres and angles in radians.

    `yaw` is the heading of the optical axis over ground, counter-clockwise from east (at nadir: the heading of the
    image's top); `pitch` its angle above the horizon (-pi/2 is nadir); `roll` turns the camera about its optical axis,
    clockwise as it looks.
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
    """Points (..., 3) of the world in the optical frame of a camera at `pose` = T_world_camera."""
    return (points - pose[:3, 3]) @ pose[:3, :3]


@dataclass(frozen=True)
class Lens:
    """How the image of `camera` is taken from a pinhole raster that covers it.

    `pinhole` is an undistorted camera with the same focal length on a canvas just large enough; `grid` (H, W, 2)
    float32 gives for each pixel of the camera's image the pixel (x, y) of the pinhole raster that it shows.
    """

    camera: Camera
    pinhole: Camera
    grid: np.ndarray


def lens_of(camera: Camera) -> Lens:
    """The lens of a camera; takes about a second for a distorted full-HD camera, so keep it."""
    pixels = np.empty((camera.height, camera.width, 2), np.float32)
    pixels[..., 0] = np.arange(camera.width)
    pixels[..., 1] = np.arange(camera.height)[:, None]
    if camera.is_pinhole:
        return Lens(camera, camera, pixels)
    seen = camera.undistort(pixels.reshape(-1, 2)).reshape(pixels.shape)
    left, top = np.floor(seen.min(axis=(0, 1))).astype(int) - 1
    right, bottom = np.ceil(seen.max(axis=(0, 1))).astype(int) + 1
    pinhole = Camera(
        int(right - left + 1), int(bottom - top + 1), camera.fx, camera.fy, camera.cx - left, camera.cy - top
    )
    return Lens(camera, pinhole, (seen - [left, top]).astype(np.float32))
