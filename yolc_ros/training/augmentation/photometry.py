"""Photometric distortion: brightness, contrast, colour, inversion, haze, blur, noise and JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from perception_common.images.pictures.files import decode_rgb

_BEST_JPEG = 95  # quality
_HAZE_GREY = (170, 235)  # range of the grey level of haze; empirical


@dataclass(frozen=True)
class PhotometryConfig:
    """Ranges of the distortions; 0 switches one off. The first four are the usual values of SSD and CenterNet.

    Haze mixes the image with an even grey, which grows from one border of the image to the opposite one.
    """

    brightness: float = 32.0  # grey levels, up or down
    contrast: float = 0.5  # factor 1 - contrast to 1 + contrast
    saturation: float = 0.5  # likewise
    hue: float = 18.0  # OpenCV's unit (2 degrees of the colour circle), up or down
    grey_share: float = 0.05  # fraction of images converted to grey
    blur_share: float = 0.1  # fraction of blurred images
    blur_sigma: float = 1.0  # maximum blur, pixels
    noise_share: float = 0.2  # fraction of noisy images
    noise_sigma: float = 8.0  # maximum noise, grey levels
    white_balance: float = 0.0  # factor 1 - white_balance to 1 + white_balance on each of red, green and blue
    invert_share: float = 0.0  # fraction of negatives: bright becomes dark, as in thermal images of cold objects
    haze_share: float = 0.0  # fraction of hazy images
    haze: float = 0.5  # maximum share of grey
    jpeg_share: float = 0.0  # fraction of images that are compressed and decoded
    jpeg_quality: int = 40  # lowest quality, 1 to 95; the highest is 95

    def __post_init__(self) -> None:
        if min(vars(self).values()) < 0 or max(self.contrast, self.saturation, self.white_balance) >= 1:
            raise ValueError("distortions cannot be negative; contrast, saturation and white_balance must be below 1")
        if self.haze > 1 or not 1 <= self.jpeg_quality <= _BEST_JPEG:
            raise ValueError(f"haze must be at most 1 and jpeg_quality lie in [1, {_BEST_JPEG}]")


def distort(image: np.ndarray, config: PhotometryConfig, rng: np.random.Generator) -> np.ndarray:
    """Distort an image (H, W, 3) uint8 RGB -> a new image. Black pixels, such as padding, stay black."""
    is_black = cv2.inRange(image, np.zeros(3), np.zeros(3))
    levels = np.arange(256, dtype=np.float32)
    gain = rng.uniform(1 - config.contrast, 1 + config.contrast)
    shift = rng.uniform(-config.brightness, config.brightness)
    image = cv2.LUT(image, _to_uint8((levels - 128) * gain + 128 + shift))
    image = _shift_colours(image, config, rng)
    if config.white_balance:
        gains = rng.uniform(1 - config.white_balance, 1 + config.white_balance, 3)
        image = cv2.LUT(image, _to_uint8(levels[:, None] * gains)[None])
    if rng.random() < config.grey_share:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if config.invert_share and rng.random() < config.invert_share:
        image = cv2.bitwise_not(image)
    if config.haze_share and rng.random() < config.haze_share:
        image = add_haze(image, config.haze * rng.random(), rng)
    if rng.random() < config.blur_share and config.blur_sigma:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.2, 1.0) * config.blur_sigma)
    if rng.random() < config.noise_share and config.noise_sigma:
        noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.random() * config.noise_sigma)
        image = _to_uint8(image + noise)
    if config.jpeg_share and rng.random() < config.jpeg_share:
        image = _compressed(image, int(rng.integers(config.jpeg_quality, _BEST_JPEG + 1)))
    image[is_black > 0] = 0
    return image


def add_haze(image: np.ndarray, most: float, rng: np.random.Generator) -> np.ndarray:
    """Mix an image (H, W, 3) uint8 with a grey, from a share of 0 to `most` across it in a random direction."""
    height, width = image.shape[:2]
    angle, grey = rng.uniform(0, 2 * np.pi), np.float32(rng.uniform(*_HAZE_GREY))
    x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)
    place = (np.cos(angle) * x + np.sin(angle) * y[:, None]) / (abs(np.cos(angle)) + abs(np.sin(angle)))  # -1 to 1
    share = (most * (place + 1) / 2)[..., None].astype(np.float32)
    return _to_uint8(image + share * (grey - image))


def _compressed(image: np.ndarray, quality: int) -> np.ndarray:
    """Compress as JPEG and decode."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, code = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return decode_rgb(code.reshape(-1), "the compressed training image")


def _shift_colours(image: np.ndarray, config: PhotometryConfig, rng: np.random.Generator) -> np.ndarray:
    hue = rng.uniform(-config.hue, config.hue)
    gain = rng.uniform(1 - config.saturation, 1 + config.saturation)
    levels = np.arange(256, dtype=np.float32)
    tables = np.stack([((levels + hue) % 180).astype(np.uint8), _to_uint8(levels * gain), levels.astype(np.uint8)], -1)
    hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), tables[None])
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return values.round().clip(0, 255).astype(np.uint8)
