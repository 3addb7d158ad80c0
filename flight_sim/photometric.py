"""From clean pictures to what a drone's camera delivers: light, haze, blur, vignetting, noise, JPEG."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np


@dataclass(frozen=True)
class Look:
    """How a camera and the weather change a picture.

    `exposure` factor; `gamma`; `balance` RGB factors; `saturation` factor; `visibility_m`: distance at which haze takes
    63 % of the light (inf: none); `defocus_px` and `noise` (deviation at mid grey, 0 to 255) for the image;
    `shutter_s`: time over which the image moves; `vignette`: light lost in the corners, 0 to 1; `jpeg_quality` 1 to
    100, 0 for none.
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


CLEAN = Look()


def sample_look(rng: np.random.Generator, strength: float = 1.0) -> Look:
    """A random look; `strength` 0 changes nothing, 1 spans what drones deliver, more is harder."""
    if strength == 0.0:
        return CLEAN
    tint = rng.normal(0.0, 0.035 * strength, 3)
    return Look(
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


def jittered(look: Look, rng: np.random.Generator, strength: float) -> Look:
    """A look that differs a little, as from one pass of a drone to the next."""
    tint = np.exp(rng.normal(0.0, 0.03 * strength, 3)) * look.balance
    return replace(
        look,
        exposure=look.exposure * float(np.exp(rng.normal(0.0, 0.18 * strength))),
        gamma=look.gamma * float(np.exp(rng.normal(0.0, 0.1 * strength))),
        balance=(float(tint[0]), float(tint[1]), float(tint[2])),
    )


def develop(
    image: np.ndarray,
    depth: np.ndarray,
    look: Look,
    rng: np.random.Generator,
    motion_px: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """The image (H, W, 3) uint8 RGB with a look; `depth` (H, W) in metres; `motion_px`: how far the picture moves
    during the shutter.
    """
    if math.isfinite(look.visibility_m):
        image = _hazed(image, depth, look.visibility_m)
    image = _blurred(image, look.defocus_px, motion_px)
    if look.saturation != 1.0:
        gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = cv2.addWeighted(image, look.saturation, gray, 1.0 - look.saturation, 0.0)
    if look.vignette > 0.0:
        image = cv2.multiply(image, _vignette(image.shape[1], image.shape[0], look.vignette), scale=1.0 / 255.0)
    if look.exposure != 1.0 or look.gamma != 1.0 or look.balance != (1.0, 1.0, 1.0):
        image = cv2.LUT(image, _response(look))
    if look.noise > 0.0:
        image = _noisy(image, look.noise, rng)
    if look.jpeg_quality > 0:
        image = _compressed(image, look.jpeg_quality)
    return image


def _hazed(image: np.ndarray, depth: np.ndarray, visibility_m: float) -> np.ndarray:
    """Mix with the colour of the air, by depth; the share is smooth enough to be computed on a quarter of the rows and
    columns.
    """
    height, width = depth.shape
    share = 1.0 - np.exp(-np.minimum(depth[::4, ::4], 1e5) / visibility_m)
    clear = cv2.resize((255.0 * (1.0 - share)).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    kept = cv2.multiply(image, cv2.merge([clear] * 3), scale=1.0 / 255.0)
    air = [cv2.convertScaleAbs(clear, alpha=-value / 255.0, beta=float(value)) for value in (205, 214, 222)]
    return cv2.add(kept, cv2.merge(air))


def _blurred(image: np.ndarray, defocus_px: float, motion_px: tuple[float, float]) -> np.ndarray:
    length = math.hypot(*motion_px)
    if length > 0.5:
        size = 2 * math.ceil(length / 2) + 1
        kernel = np.zeros((size, size), np.float32)
        half = np.array(motion_px) / 2
        middle = size // 2
        ends = np.round((np.stack([-half, half]) + middle) * 16).astype(int)
        cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1.0, 1, cv2.LINE_8, 4)
        image = cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
    return cv2.GaussianBlur(image, (0, 0), defocus_px) if defocus_px > 0.2 else image


def _vignette(width: int, height: int, loss: float) -> np.ndarray:
    x, y = np.linspace(-1, 1, 32, dtype=np.float32), np.linspace(-1, 1, 32, dtype=np.float32)
    light = 255.0 * (1.0 - loss * (x[None] ** 2 + y[:, None] ** 2) / 2.0)
    return cv2.merge([cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8)] * 3)


def _response(look: Look) -> np.ndarray:
    """(1, 256, 3) lookup table of exposure, white balance and gamma."""
    level = np.arange(256)[None, :, None] / 255.0
    curve = (level * look.exposure * np.array(look.balance)) ** look.gamma
    return np.clip(255.0 * curve, 0, 255).astype(np.uint8)


def _noisy(image: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Add noise cut at random places from one tile: a fresh normal number for every value would take longer than the
    rendering.
    """
    tile = np.round(deviation * rng.standard_normal((256, 512, 3), dtype=np.float32)).astype(np.int16)
    height, width = image.shape[:2]
    strips = []
    for _ in range(0, height, 256):
        start = int(rng.integers(0, 512))
        strips.append(np.take(tile, np.arange(start, start + width), axis=1, mode="wrap"))
    return cv2.add(image, np.concatenate(strips)[:height], dtype=cv2.CV_8U)


def _compressed(image: np.ndarray, quality: int) -> np.ndarray:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.cvtColor(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB)
