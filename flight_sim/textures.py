"""Procedural textures: ground materials, facades and roofs as periodic tiles, and mosaics of photographs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

TILE_PX = 512
TILE_METRES_PER_PIXEL = 0.08
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Material:
    """A ground material: a periodic tile (S, S, 3) uint8 RGB and how strongly fine relief shows on it, 0 to 1."""

    tile: np.ndarray
    roughness: float


def spectral_noise(rng: np.random.Generator, size: int, exponent: float) -> np.ndarray:
    """Periodic noise (size, size) float32, mean 0, deviation 1; its amplitude falls as frequency ** -exponent."""
    spectrum = np.fft.rfft2(rng.standard_normal((size, size), dtype=np.float32))
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = 1.0
    spectrum = spectrum * frequency**-exponent
    spectrum[0, 0] = 0.0
    noise = np.fft.irfft2(spectrum, s=(size, size)).astype(np.float32)
    return noise / noise.std()


def _rgb(image: np.ndarray) -> np.ndarray:
    return np.clip(image, 0, 255).astype(np.uint8)


def _tinted(
    rng: np.random.Generator, colour: np.ndarray, fine: float, coarse: float, chroma: float = 0.02
) -> np.ndarray:
    """A tile (S, S, 3) float32 of one colour with fine grain, coarse patches and slow changes of hue."""
    grain = spectral_noise(rng, TILE_PX, 0.35)
    patches = spectral_noise(rng, TILE_PX, 1.6)
    hue = np.roll(patches, (TILE_PX // 3, TILE_PX // 5), (0, 1))[..., None] * rng.normal(0.0, chroma, 3).astype(
        np.float32
    )
    return np.asarray(colour, np.float32) * (1.0 + (fine * grain + coarse * patches)[..., None] + hue)


def _slabs(rng: np.random.Generator, colour: np.ndarray, slab_px: int, joint: float) -> np.ndarray:
    """Paving slabs of `slab_px` with tones of their own and joints between them."""
    count = TILE_PX // slab_px
    tones = 1.0 + 0.035 * rng.standard_normal((count, count, 1)).astype(np.float32)
    image = _tinted(rng, colour, 0.04, 0.05, 0.006) * np.kron(tones, np.ones((slab_px, slab_px, 1), np.float32))
    image[::slab_px] *= joint
    image[:, ::slab_px] *= joint
    return image


def _rows(rng: np.random.Generator, plant: np.ndarray, soil: np.ndarray, period_px: int) -> np.ndarray:
    """Rows of plants on soil, along x, with gaps."""
    along = np.arange(TILE_PX, dtype=np.float32)[:, None]
    sway = spectral_noise(rng, TILE_PX, 1.8) * 0.12
    cover = 0.5 + 0.5 * np.cos(2.0 * np.pi * (along / period_px + sway))
    cover = np.clip(cover * 1.5 - 0.2 + 0.25 * spectral_noise(rng, TILE_PX, 0.8), 0.0, 1.0)[..., None]
    return _tinted(rng, plant, 0.1, 0.08) * cover + _tinted(rng, soil, 0.07, 0.06) * (1.0 - cover)


def _water(rng: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    ripples = spectral_noise(rng, TILE_PX, 1.1)
    image = (
        np.asarray(colour, np.float32) * (1.0 + 0.05 * ripples + 0.05 * spectral_noise(rng, TILE_PX, 2.0))[..., None]
    )
    return image + 30.0 * np.clip(ripples - 2.2, 0.0, 1.0)[..., None]


def ground_materials(rng: np.random.Generator) -> dict[str, Material]:
    """The ground materials of one scene, by name; their colours vary with the season and the place."""
    dryness = rng.uniform(0.0, 1.0)
    green = np.array([62.0, 92.0, 42.0]) * (1 - dryness) + np.array([122.0, 116.0, 66.0]) * dryness
    green = green * rng.uniform(0.8, 1.25) + rng.normal(0.0, 5.0, 3)
    soil = np.array([128.0, 104.0, 78.0]) * rng.uniform(0.7, 1.25) + rng.normal(0.0, 6.0, 3)
    gray = rng.uniform(78.0, 128.0)
    light = rng.uniform(135.0, 190.0)
    warm = np.array([1.03, 1.0, 0.95])
    brick = np.array([150.0, 100.0, 84.0]) * rng.uniform(0.8, 1.15)
    crop = np.array([rng.uniform(70, 175), rng.uniform(105, 165), rng.uniform(45, 80)])
    sea = np.array([[52.0, 84.0, 92.0], [70.0, 88.0, 66.0], [44.0, 66.0, 84.0]])[rng.integers(3)] * rng.uniform(
        0.8, 1.3
    )
    lawn = _tinted(rng, green * 1.12, 0.09, 0.05)
    mown = np.where((np.arange(TILE_PX) // 32) % 2 == 0, 1.05, 0.96).astype(np.float32)[:, None, None]
    weeds = _tinted(rng, green * 0.95, 0.15, 0.16, 0.05)
    weeds[spectral_noise(rng, TILE_PX, 0.9) > 2.1] *= 0.7
    made: dict[str, tuple[np.ndarray, float]] = {
        "asphalt": (_tinted(rng, gray * np.array([1.0, 1.0, 1.02]), 0.05, 0.045, 0.004), 0.35),
        "old_asphalt": (_tinted(rng, (gray + 22.0) * warm, 0.07, 0.07, 0.006), 0.45),
        "concrete": (_slabs(rng, light * warm, 64, 0.88), 0.3),
        "pavement": (_slabs(rng, (light - 12.0) * warm, 8, 0.9), 0.35),
        "square": (_slabs(rng, (light + rng.uniform(-30, 25)) * warm, 16, 0.85), 0.35),
        "bricks": (_slabs(rng, brick, 4, 0.93), 0.4),
        "gravel": (_tinted(rng, (light - 10.0) * np.array([1.02, 1.0, 0.92]), 0.12, 0.05, 0.008), 0.9),
        "soil": (_tinted(rng, soil, 0.09, 0.12, 0.03), 0.9),
        "sand": (_tinted(rng, np.array([196.0, 178.0, 140.0]), 0.05, 0.06), 0.5),
        "grass": (weeds, 1.0),
        "lawn": (lawn, 0.8),
        "mown": (lawn * mown, 0.8),
        "water": (_water(rng, sea), 0.1),
        "court": (_tinted(rng, np.array([[164.0, 82.0, 62.0], [66.0, 112.0, 92.0]])[rng.integers(2)], 0.03, 0.03), 0.2),
    }
    for index, period in enumerate((8, 16, 32)):
        rows = _rows(rng, crop + rng.normal(0.0, 18.0, 3), soil, period)
        made[f"rows_{2 * index}"] = (rows, 1.0)
        made[f"rows_{2 * index + 1}"] = (rows.transpose(1, 0, 2), 1.0)
    return {name: Material(_rgb(tile), roughness) for name, (tile, roughness) in made.items()}


def relief_tile(rng: np.random.Generator, size: int = 1024) -> np.ndarray:
    """Fine relief (size, size) uint8 around 128, periodic: what the ground shows below the resolution of its raster."""
    relief = 0.75 * spectral_noise(rng, size, 0.7) + 0.55 * spectral_noise(rng, size, 0.1)
    spots = spectral_noise(rng, size, 0.9)
    relief = relief - 1.5 * np.clip(spots - 2.0, 0.0, 1.0) + 1.5 * np.clip(-spots - 2.2, 0.0, 1.0)
    return np.clip(128.0 + 26.0 * relief, 0, 255).astype(np.uint8)


def facade_tile(rng: np.random.Generator) -> np.ndarray:
    """Four by four windows on a wall, (256, 256, 3) uint8 at 0.05 m: 3.2 m a floor, rows grow upwards."""
    wall_colours = np.array(
        [[196, 180, 156], [214, 208, 196], [170, 110, 88], [150, 150, 152], [206, 186, 130], [128, 96, 82]]
    )
    wall = wall_colours[rng.integers(len(wall_colours))] * rng.uniform(0.8, 1.1)
    noise = spectral_noise(rng, 256, 0.8)
    image = wall.astype(np.float32) * (1.0 + 0.035 * noise[..., None])
    cell = 64
    width, height = int(rng.integers(22, 56)), int(rng.integers(24, 44))
    bands = rng.random() < 0.4
    balcony = rng.random() < 0.4
    frame = wall * rng.uniform(0.7, 1.25)
    for row in range(4):
        if bands:
            image[row * cell : row * cell + 4] = frame
        for column in range(4):
            x, y = column * cell + (cell - width) // 2, row * cell + (cell - height) // 2 + 3
            glass = np.array([52.0, 64.0, 76.0]) * rng.uniform(0.5, 1.5)
            image[y - 2 : y + height + 2, x - 2 : x + width + 2] = frame
            image[y : y + height, x : x + width] = glass * np.linspace(0.8, 1.25, height)[:, None, None]
            if rng.random() < 0.25:
                image[y + height // 2 : y + height, x : x + width] = rng.uniform(150, 215)
            if balcony and column % 2 == row % 2:
                image[y - 4 : y + 12, x - 7 : x + width + 7] = wall * 0.78
    return _rgb(image)


def hall_tile(rng: np.random.Generator) -> np.ndarray:
    """Ribbed sheet-metal wall, (256, 256, 3) uint8 at 0.05 m."""
    colour = np.array([[176, 182, 188], [120, 140, 160], [190, 184, 170], [150, 80, 66]])[rng.integers(4)]
    ribs = np.where(np.arange(256) % 16 < 3, 0.85, 1.0).astype(np.float32)
    image = colour * (ribs[None, :] * (1.0 + 0.04 * spectral_noise(rng, 256, 1.2)))[..., None]
    image[150:170] = [84, 96, 108]
    return _rgb(image)


def tiled_roof(rng: np.random.Generator) -> np.ndarray:
    """A pitched roof's courses of tiles with skylights and stains, (256, 256, 3) uint8 at 0.08 m."""
    colours = np.array([[172, 84, 58], [150, 74, 56], [120, 72, 60], [98, 96, 98], [136, 112, 92], [190, 106, 72]])
    colour = colours[rng.integers(len(colours))] * rng.uniform(0.85, 1.1)
    courses = np.where(np.arange(256) % 4 == 0, 0.82, 1.0).astype(np.float32)[:, None]
    tones = 1.0 + 0.06 * np.kron(rng.standard_normal((64, 64)), np.ones((4, 4)))
    image = colour * (courses * tones * (1.0 + 0.06 * spectral_noise(rng, 256, 1.5)))[..., None]
    for _ in range(rng.integers(0, 5)):
        x, y = rng.integers(10, 230, 2)
        image[y : y + 12, x : x + 10] = [64, 78, 92]
        image[y : y + 12, x : x + 2] = [170, 170, 170]
    return _rgb(image)


def flat_roof(rng: np.random.Generator) -> np.ndarray:
    """A flat roof: membrane or gravel with seams, puddles and small installations with their shades, (256, 256, 3)
    uint8 at 0.08 m.
    """
    colour = np.array([[184, 182, 176], [128, 126, 124], [206, 206, 202], [150, 136, 120], [104, 118, 104]])[
        rng.integers(5)
    ]
    image = colour * (1.0 + 0.05 * spectral_noise(rng, 256, 0.4) + 0.07 * spectral_noise(rng, 256, 1.8))[..., None]
    seam = int(rng.choice([16, 32, 64]))
    image[::seam] *= 0.9
    if rng.random() < 0.5:
        image[:, :: 2 * seam] *= 0.9
    for _ in range(rng.integers(3, 12)):
        x, y = rng.integers(4, 236, 2)
        w, h = rng.integers(4, 18, 2)
        image[y + 3 : y + h + 3, x + 3 : x + w + 3] *= 0.6
        image[y : y + h, x : x + w] = rng.uniform(110, 225) * (1 + 0.03 * rng.standard_normal((1, 1, 3)))
    if rng.random() < 0.2:
        panels = np.kron(rng.random((8, 8)) < 0.75, np.ones((26, 13)))[:200, :104] > 0
        panels[:, ::13] = False
        panels[::26] = False
        image[30:230, 60:164][panels] = [38, 50, 84]
    return _rgb(image)


def photo_mosaic(
    rng: np.random.Generator, folder: Path | str, side_px: int, metres_per_pixel: float, photo_metres_per_pixel: float
) -> np.ndarray:
    """Ground (side_px, side_px, 3) uint8 RGB of the photographs in a folder, mirrored at its borders so that it is
    periodic.

    Each photograph lies at `photo_metres_per_pixel`, turned by a random quarter turn; neighbours are blended over a
    seam. Raises ValueError when the folder holds no readable image.
    """
    paths = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise ValueError(f"no image in {folder}: give a folder with {', '.join(IMAGE_SUFFIXES)} files")
    half = side_px // 2
    quarter = np.zeros((half, half, 3), np.float32)
    weight = np.full((half, half, 1), 1e-6, np.float32)
    y = 0
    while y < half:
        x = 0
        depth = half
        while x < half:
            path = paths[rng.integers(len(paths))]
            photo = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if photo is None:
                raise ValueError(f"cannot read the photograph {path}: remove or replace it")
            scale = photo_metres_per_pixel / metres_per_pixel
            photo = cv2.resize(
                photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            )
            photo = np.rot90(cv2.cvtColor(photo, cv2.COLOR_BGR2RGB), int(rng.integers(4)))
            height, width = min(photo.shape[0], half - y), min(photo.shape[1], half - x)
            ramp = min(photo.shape[0], photo.shape[1]) // 6
            fade = np.minimum.outer(_fade(photo.shape[0], ramp)[:height], _fade(photo.shape[1], ramp)[:width])[
                ..., None
            ]
            quarter[y : y + height, x : x + width] += photo[:height, :width] * fade
            weight[y : y + height, x : x + width] += fade
            x += max(photo.shape[1] - ramp, 8)
            depth = min(depth, max(photo.shape[0] - ramp, 8))
        y += depth
    image = _rgb(quarter / weight)
    image = np.concatenate([image, image[:, ::-1]], axis=1)
    return np.concatenate([image, image[::-1]], axis=0)


def _fade(length: int, ramp: int) -> np.ndarray:
    """Weights (length,) float32 that rise over `ramp` samples at both ends and never reach zero."""
    distance = np.minimum(np.arange(length), np.arange(length)[::-1]) + 1.0
    return np.clip(distance / max(ramp, 1), 0.0, 1.0).astype(np.float32)
