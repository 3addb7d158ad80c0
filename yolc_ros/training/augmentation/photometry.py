"""Photometric distortion: brightness, contrast, colour, blur and noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class PhotometryConfig:
    """Ranges of the distortions; 0 switches one off. The first four are the usual values of SSD and CenterNet."""

    brightness: float = 32.0  # grey levels, up or down
    contrast: float = 0.5  # factor 1 - contrast to 1 + contrast
    saturation: float = 0.5  # likewise
    hue: float = 18.0  # OpenCV's unit (2 degrees of the colour circle), up or down
    grey_share: float = 0.05  # fraction of images converted to grey
    blur_share: float = 0.1  # fraction of blurred images
    blur_sigma: float = 1.0  # maximum blur, pixels
    noise_share: float = 0.2  # fraction of noisy images
    noise_sigma: float = 8.0  # maximum noise, grey levels

    def __post_init__(self) -> None:
        if min(vars(self).values()) < 0 or max(self.contrast, self.saturation) >= 1:
            raise ValueError("distortions cannot be negative; contrast and saturation must be below 1")


def distort(image: np.ndarray, config: PhotometryConfig, rng: np.random.Generator) -> np.ndarray:
    """Distort an image (H, W, 3) uint8 RGB -> a new image. Black pixels, such as padding, stay black."""
    is_black = cv2.inRange(image, np.zeros(3), np.zeros(3))
    levels = np.arange(256, dtype=np.float32)
    gain = rng.uniform(1 - config.contrast, 1 + config.contrast)
    shift = rng.uniform(-config.brightness, config.brightness)
    image = cv2.LUT(image, _to_uint8((levels - 128) * gain + 128 + shift))
    image = _shift_colours(image, config, rng)
    if rng.random() < config.grey_share:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < config.blur_share and config.blur_sigma:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.2, 1.0) * config.blur_sigma)
    if rng.random() < config.noise_share and config.noise_sigma:
        noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.random() * config.noise_sigma)
        image = _to_uint8(image + noise)
    image[is_black > 0] = 0
    return image


def _shift_colours(image: np.ndarray, config: PhotometryConfig, rng: np.random.Generator) -> np.ndarray:
    hue = rng.uniform(-config.hue, config.hue)
    gain = rng.uniform(1 - config.saturation, 1 + config.saturation)
    levels = np.arange(256, dtype=np.float32)
    tables = np.stack([((levels + hue) % 180).astype(np.uint8), _to_uint8(levels * gain), levels.astype(np.uint8)], -1)
    hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), tables[None])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return values.round().clip(0, 255).astype(np.uint8)
