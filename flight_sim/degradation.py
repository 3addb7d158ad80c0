"""Degrades clean renderings to what a drone's camera delivers: light, haze, blur, vignetting, noise, JPEG."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from flight_sim.subpixel import SUBPIXEL_BITS, fixed_point

_HAZE_RGB = (205, 214, 222)  # colour of the air; empirical
_HAZE_STEP = 4  # haze is computed on every fourth row and column: it changes slowly


@dataclass(frozen=True)
class ImageDegradation:
    """How a camera and the weather degrade an image.

    `exposure`: factor on the light; `gamma`: exponent; `balance`: factors on R, G, B; `saturation`: factor on the
    colourfulness; `visibility_m`: distance at which haze takes 63 % of the light, inf for none; `defocus_px`: standard
    deviation of the blur; `noise`: standard deviation, of 255; `shutter_s`: exposure time, for motion blur;
    `vignette`: share of light lost in the corners; `jpeg_quality`: 1 to 100, 0 for no compression.
    """

    exposure: float = 1.0
    gamma: float = 1.0
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    saturation: float = 1.0
    visibility_m: float = math.inf
    defocus_px: float = 0.0
    noise: float = 0.0
    shutter_s: float = 0.0
    vignette: float = 0.0
    jpeg_quality: int = 0


NO_DEGRADATION = ImageDegradation()


def sample_degradation(rng: np.random.Generator, strength: float = 1.0) -> ImageDegradation:
    """A random degradation; `strength`: 0 for none, 1 for the range of real drones (empirical), more for worse."""
    if strength == 0.0:
        return NO_DEGRADATION
    tint = rng.normal(0.0, 0.035 * strength, 3)
    return ImageDegradation(
        exposure=float(np.exp(rng.normal(0.05, 0.2 * strength))),
        gamma=float(np.exp(rng.normal(0.0, 0.13 * strength))),
        balance=(float(1 + tint[0]), float(1 + tint[1]), float(1 + tint[2])),
        saturation=float(np.clip(rng.normal(0.9, 0.2 * strength), 0.3, 1.5)),
        visibility_m=float(rng.uniform(250.0, 2500.0) / strength) if rng.random() < 0.6 else math.inf,
        defocus_px=float(rng.uniform(0.3, 0.75)) * min(strength, 2.0),
        noise=float(rng.gamma(1.5, 1.6)) * strength,
        shutter_s=float(rng.uniform(0.0002, 0.006)) * strength,
        vignette=float(rng.uniform(0.0, 0.3)) * min(strength, 2.0),
        jpeg_quality=int(rng.integers(60, 97)),
    )


def with_changed_light(degradation: ImageDegradation, rng: np.random.Generator, strength: float) -> ImageDegradation:
    """The degradation with other exposure, gamma and white balance, as a little later on the same flight."""
    tint = np.exp(rng.normal(0.0, 0.03 * strength, 3)) * degradation.balance
    return replace(
        degradation,
        exposure=degradation.exposure * float(np.exp(rng.normal(0.0, 0.18 * strength))),
        gamma=degradation.gamma * float(np.exp(rng.normal(0.0, 0.1 * strength))),
        balance=(float(tint[0]), float(tint[1]), float(tint[2])),
    )


def degrade(
    image: np.ndarray,
    depth: np.ndarray,
    degradation: ImageDegradation,
    rng: np.random.Generator,
    motion_px: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """Degrade an image (H, W, 3) uint8 RGB.

    `depth` (H, W) metres; `motion_px`: movement of the image while the shutter is open.
    """
    if math.isfinite(degradation.visibility_m):
        image = _hazed(image, depth, degradation.visibility_m)
    image = _blurred(image, degradation.defocus_px, motion_px)
    if degradation.saturation != 1.0:
        gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = cv2.addWeighted(image, degradation.saturation, gray, 1.0 - degradation.saturation, 0.0)
    if degradation.vignette > 0.0:
        light = _vignette(image.shape[1], image.shape[0], degradation.vignette)
        image = cv2.multiply(image, light, scale=1.0 / 255.0)
    if degradation.exposure != 1.0 or degradation.gamma != 1.0 or degradation.balance != (1.0, 1.0, 1.0):
        image = cv2.LUT(image, _tone_curve(degradation))
    if degradation.noise > 0.0:
        image = _noisy(image, degradation.noise, rng)
    if degradation.jpeg_quality > 0:
        image = _compressed(image, degradation.jpeg_quality)
    return image


def _hazed(image: np.ndarray, depth: np.ndarray, visibility_m: float) -> np.ndarray:
    """Mix the image with the colour of the air, by depth."""
    height, width = depth.shape
    share = 1.0 - np.exp(-np.minimum(depth[::_HAZE_STEP, ::_HAZE_STEP], 1e5) / visibility_m)
    clear = cv2.resize((255.0 * (1.0 - share)).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    kept = cv2.multiply(image, cv2.merge([clear] * 3), scale=1.0 / 255.0)
    air = [cv2.convertScaleAbs(clear, alpha=-value / 255.0, beta=float(value)) for value in _HAZE_RGB]
    return cv2.add(kept, cv2.merge(air))


def _blurred(image: np.ndarray, defocus_px: float, motion_px: tuple[float, float]) -> np.ndarray:
    """The image blurred along a motion of more than half a pixel, and by defocus."""
    length = math.hypot(motion_px[0], motion_px[1])
    if length > 0.5:
        size = 2 * math.ceil(length / 2) + 1
        kernel = np.zeros((size, size), np.float32)
        half = np.array(motion_px) / 2
        ends = fixed_point(np.stack([-half, half]) + size // 2)
        cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1.0, 1, cv2.LINE_8, SUBPIXEL_BITS)
        image = cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
    return cv2.GaussianBlur(image, (0, 0), defocus_px) if defocus_px > 0.2 else image


def _vignette(width: int, height: int, loss: float) -> np.ndarray:
    """(height, width, 3) uint8: the light that remains, of 255."""
    position = np.linspace(-1, 1, 32, dtype=np.float32)
    light = 255.0 * (1.0 - loss * (position[None] ** 2 + position[:, None] ** 2) / 2.0)
    return cv2.merge([cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8)] * 3)


def _tone_curve(degradation: ImageDegradation) -> np.ndarray:
    """(1, 256, 3) lookup table of exposure, white balance and gamma."""
    level = np.arange(256)[None, :, None] / 255.0
    curve = (level * degradation.exposure * np.array(degradation.balance)) ** degradation.gamma
    return np.clip(255.0 * curve, 0, 255).astype(np.uint8)


def _noisy(image: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise, cut from one tile at random places; fresh noise for every value would take too long."""
    tile = np.round(deviation * rng.standard_normal((256, 512, 3), dtype=np.float32)).astype(np.int16)
    height, width = image.shape[:2]
    strips = []
    for _ in range(0, height, 256):
        start = int(rng.integers(0, 512))
        strips.append(np.take(tile, np.arange(start, start + width), axis=1, mode="wrap"))
    return cv2.add(image, np.concatenate(strips)[:height], dtype=cv2.CV_8U)


def _compressed(image: np.ndarray, quality: int) -> np.ndarray:
    """The image after JPEG compression."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.cvtColor(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB)
