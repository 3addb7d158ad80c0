"""Synthetic images, detections and matches for benchmarks, all from fixed seeds."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from flight_sim.camera import PinholeCamera
from loftr_ros.matches import Matches
from perception_common.cameras.camera import Camera
from yolc_ros.classes import VISDRONE_CLASSES
from yolc_ros.clusters import Region
from yolc_ros.detector import Detections


def pair_shift(width: int) -> int:
    """Return the horizontal shift between the images of `textured_pair`, pixels: a multiple of 8."""
    return width // 3 // 8 * 8


def textured_pair(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two gray images (height, width) uint8: the second is the first shifted to the right by `pair_shift`."""
    shift = pair_shift(width)
    noise = np.random.default_rng(0).random((height, width + shift), dtype=np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.0)
    texture = (255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)
    return np.ascontiguousarray(texture[:, shift:]), np.ascontiguousarray(texture[:, :width])


def to_tensor(gray: np.ndarray) -> torch.Tensor:
    """Convert an image (H, W) uint8 to (1, 1, H, W) float32, 0 to 1."""
    return torch.from_numpy(gray.astype(np.float32) / 255)[None, None]


def crowded_frame(width: int, height: int) -> np.ndarray:
    """Return an RGB image (height, width, 3) uint8: textured patches, like crowds of small objects, on plain ground.

    The ground has the mean colour of the networks' normalisation, so that they see zeros there.
    """
    rng = np.random.default_rng(0)
    frame = np.full((height, width, 3), (124, 116, 104), np.uint8)
    for x, y in ((0.12, 0.2), (0.6, 0.5)):
        x0, y0, x1, y1 = (round(v) for v in (x * width, y * height, (x + 0.25) * width, (y + 0.3) * height))
        frame[y0:y1, x0:x1] = cv2.GaussianBlur(rng.integers(0, 256, (y1 - y0, x1 - x0, 3), np.uint8), (0, 0), 0.8)
    return frame


def synthetic_camera(width: int, height: int) -> Camera:
    """Return a camera without distortion whose focal length is the image width."""
    return Camera.from_matrix(np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1]]), width, height)


def camera_of(pinhole: PinholeCamera) -> Camera:
    """Return a camera of flight_sim, with its distortion."""
    return Camera.from_matrix(pinhole.matrix, pinhole.width, pinhole.height, pinhole.distortion)


def synthetic_detections(count: int, width: int, height: int) -> Detections:
    """Return `count` random detections in an image and its two clusters."""
    rng = np.random.default_rng(0)
    corners = rng.uniform((0, 0), (width * 0.9, height * 0.9), (count, 2))
    sides = rng.uniform(8, 0.1 * min(width, height), (count, 2))
    return Detections(
        boxes=np.concatenate([corners, corners + sides], axis=1).astype(np.float32),
        scores=np.sort(rng.uniform(0.3, 1, count))[::-1].astype(np.float32),
        labels=rng.integers(0, len(VISDRONE_CLASSES), count),
        region=rng.integers(-1, 2, count),
        regions=(Region(0, 0, width // 4, height // 4, 9.0, 1.5), Region(width // 2, 0, width, height // 2, 9.0, 1.5)),
        class_names=VISDRONE_CLASSES,
    )


def synthetic_matches(count: int, camera: Camera) -> Matches:
    """Return matches of two views of hilly terrain with 0.7 px of noise; the last fifth are outliers."""
    rng = np.random.default_rng(0)
    width, height = camera.width, camera.height
    points0 = rng.uniform((0, 0), (width - 1, height - 1), (count, 2))
    depth = rng.uniform(30, 60, (count, 1))
    scene = np.column_stack([camera.rays(points0), np.ones(count)]) * depth + (2.0, 0.5, 0.2)
    projected = scene @ camera.matrix.T
    points1 = projected[:, :2] / projected[:, 2:] + rng.normal(0, 0.7, (count, 2))
    outliers = count // 5
    points1[count - outliers :] = rng.uniform((0, 0), (width - 1, height - 1), (outliers, 2))
    return Matches(
        points0=points0.astype(np.float32),
        points1=points1.astype(np.float32),
        confidence=np.linspace(1, 0.2, count, dtype=np.float32),
        spread=np.full(count, 0.5, np.float32),
        cells0=np.arange(count),
        cells1=np.arange(count),
        size0=(width, height),
        size1=(width, height),
    )
