"""Photometric augmentation: exposure, shadow, blur, noise and compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class PhotometricConfig:
    """Maximum strength of each change; `..._chance` is the fraction of images that have it."""

    gamma: float = 0.6  # exponent between exp(-gamma) and exp(gamma)
    contrast: float = 0.5  # factor between exp(-contrast) and exp(contrast)
    brightness: float = 50.0  # gray levels
    vignette: float = 0.5  # darkening of the corners
    shadow: float = 0.6  # darkening within a polygon whose edges are more or less soft
    shadow_chance: float = 0.3
    blur: float = 1.5  # sigma, pixels
    blur_chance: float = 0.4
    motion: float = 7.0  # length of motion blur, pixels
    motion_chance: float = 0.15
    noise: float = 12.0  # standard deviation, gray levels
    jpeg_quality: int = 25  # minimum
    jpeg_chance: float = 0.4

    def __post_init__(self) -> None:
        if not 1 <= self.jpeg_quality <= 95:
            raise ValueError(f"jpeg_quality must lie between 1 and 95, got {self.jpeg_quality}")


def change_appearance(image: np.ndarray, config: PhotometricConfig, rng: np.random.Generator) -> np.ndarray:
    """Return an augmented copy of a gray image (H, W) uint8; the order is light, optics, sensor, compression."""
    light: np.ndarray = image.astype(np.float32)
    if rng.random() < config.shadow_chance:
        light *= _shadow(image.shape, config.shadow, rng)
    if config.vignette:
        light *= _vignette(image.shape, _strength(config.vignette, rng), rng)
    if rng.random() < config.blur_chance:
        light = cv2.GaussianBlur(light, (0, 0), max(0.2, _strength(config.blur, rng)))
    if rng.random() < config.motion_chance:
        light = cv2.filter2D(light, -1, _motion_kernel(_strength(config.motion, rng), rng))
    light = _expose(light, config, rng)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    changed = np.clip(light + noise * np.float32(_strength(config.noise, rng)), 0, 255).astype(np.uint8)
    if rng.random() < config.jpeg_chance:
        quality = int(rng.integers(config.jpeg_quality, 96))
        changed = cv2.imdecode(cv2.imencode(".jpg", changed, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0)
    return changed


def _strength(largest: float, rng: np.random.Generator) -> float:
    """Sample a strength from 0 to `largest`, with small values more often."""
    return largest * float(rng.random()) ** 2 if rng.random() < 0.5 else largest * float(rng.random())


def _expose(light: np.ndarray, config: PhotometricConfig, rng: np.random.Generator) -> np.ndarray:
    gamma = np.exp(rng.uniform(-1, 1) * config.gamma)
    contrast = np.exp(rng.uniform(-1, 1) * config.contrast)
    brightness = rng.uniform(-1, 1) * config.brightness
    level = np.arange(256, dtype=np.float32)
    curve = 255 * (level / 255) ** np.float32(gamma)
    curve = (curve - 127) * np.float32(contrast) + np.float32(127 + brightness)
    return cv2.LUT(np.clip(light, 0, 255).astype(np.uint8), curve.astype(np.float32))


def _vignette(shape: tuple[int, ...], strength: float, rng: np.random.Generator) -> np.ndarray:
    height, width = shape
    centre_x, centre_y = rng.uniform(0.3, 0.7) * width, rng.uniform(0.3, 0.7) * height
    x = (np.arange(width, dtype=np.float32) - np.float32(centre_x)) ** 2
    y = (np.arange(height, dtype=np.float32) - np.float32(centre_y)) ** 2
    falloff = np.float32(strength / (0.5 * (width**2 + height**2)))
    return 1 - falloff * (x + y[:, None])


def _shadow(shape: tuple[int, ...], strength: float, rng: np.random.Generator) -> np.ndarray:
    height, width = shape
    count = int(rng.integers(3, 7))
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    radius = rng.uniform(0.1, 0.6, count) * max(shape)
    centre = rng.uniform(0, 1, 2) * (width, height)
    corners = centre + np.column_stack([np.cos(angles), np.sin(angles)]) * radius[:, None]
    mask = np.ones(shape, np.float32)
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1 - _strength(strength, rng))
    return cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 4.0))


def _motion_kernel(length: float, rng: np.random.Generator) -> np.ndarray:
    size = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((size, size), np.float32)
    angle = rng.uniform(0, np.pi)
    half = length / 2 * np.array([np.cos(angle), np.sin(angle)])
    middle = np.array([size // 2, size // 2])
    ends = [tuple(np.rint((middle + sign * half) * 16).astype(int).tolist()) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, shift=4)
    return kernel / max(kernel.sum(), 1e-6)
