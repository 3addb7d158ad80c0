"""The materials of the ground as periodic tiles, and its fine relief."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flight_sim.textures.noise import spectral_noise, to_uint8

_TILE_PX = 512


@dataclass(frozen=True)
class Material:
    """A ground material: a periodic tile (S, S, 3) uint8 RGB and how strongly fine relief shows on it, 0 to 1."""

    tile: np.ndarray
    roughness: float


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
    lakes = np.array([[52.0, 84.0, 92.0], [70.0, 88.0, 66.0], [44.0, 66.0, 84.0]])
    lake = lakes[rng.integers(3)] * rng.uniform(0.8, 1.3)
    lawn = _tinted(rng, green * 1.12, 0.09, 0.05)
    mown = np.where((np.arange(_TILE_PX) // 32) % 2 == 0, 1.05, 0.96).astype(np.float32)[:, None, None]
    weeds = _tinted(rng, green * 0.95, 0.15, 0.16, 0.05)
    weeds[spectral_noise(rng, _TILE_PX, 0.9) > 2.1] *= 0.7
    tiles: dict[str, tuple[np.ndarray, float]] = {
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
        "water": (_water(rng, lake), 0.1),
        "court": (_tinted(rng, np.array([[164.0, 82.0, 62.0], [66.0, 112.0, 92.0]])[rng.integers(2)], 0.03, 0.03), 0.2),
    }
    for index, period in enumerate((8, 16, 32)):
        rows = _rows(rng, crop + rng.normal(0.0, 18.0, 3), soil, period)
        tiles[f"rows_{2 * index}"] = (rows, 1.0)
        tiles[f"rows_{2 * index + 1}"] = (rows.transpose(1, 0, 2), 1.0)
    return {name: Material(to_uint8(tile), roughness) for name, (tile, roughness) in tiles.items()}


def _tinted(
    rng: np.random.Generator, colour: np.ndarray, fine: float, coarse: float, chroma: float = 0.02
) -> np.ndarray:
    """A tile (S, S, 3) float32 of one colour with fine grain, coarse patches and slow changes of hue."""
    grain = spectral_noise(rng, _TILE_PX, 0.35)
    patches = spectral_noise(rng, _TILE_PX, 1.6)
    shifted = np.roll(patches, (_TILE_PX // 3, _TILE_PX // 5), (0, 1))[..., None]
    hue = shifted * rng.normal(0.0, chroma, 3).astype(np.float32)
    return np.asarray(colour, np.float32) * (1.0 + (fine * grain + coarse * patches)[..., None] + hue)


def _slabs(rng: np.random.Generator, colour: np.ndarray, slab_px: int, joint: float) -> np.ndarray:
    """Paving slabs of `slab_px` with tones of their own; `joint`: brightness of the joints between them."""
    count = _TILE_PX // slab_px
    tones = 1.0 + 0.035 * rng.standard_normal((count, count, 1)).astype(np.float32)
    image = _tinted(rng, colour, 0.04, 0.05, 0.006) * np.kron(tones, np.ones((slab_px, slab_px, 1), np.float32))
    image[::slab_px] *= joint
    image[:, ::slab_px] *= joint
    return image


def _rows(rng: np.random.Generator, plant: np.ndarray, soil: np.ndarray, period_px: int) -> np.ndarray:
    """Rows of plants on soil, along x, with gaps."""
    along = np.arange(_TILE_PX, dtype=np.float32)[:, None]
    sway = spectral_noise(rng, _TILE_PX, 1.8) * 0.12
    cover = 0.5 + 0.5 * np.cos(2.0 * np.pi * (along / period_px + sway))
    cover = np.clip(cover * 1.5 - 0.2 + 0.25 * spectral_noise(rng, _TILE_PX, 0.8), 0.0, 1.0)[..., None]
    return _tinted(rng, plant, 0.1, 0.08) * cover + _tinted(rng, soil, 0.07, 0.06) * (1.0 - cover)


def _water(rng: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    """Water with ripples and small highlights."""
    ripples = spectral_noise(rng, _TILE_PX, 1.1)
    shade = 1.0 + 0.05 * ripples + 0.05 * spectral_noise(rng, _TILE_PX, 2.0)
    return np.asarray(colour, np.float32) * shade[..., None] + 30.0 * np.clip(ripples - 2.2, 0.0, 1.0)[..., None]


def relief_tile(rng: np.random.Generator, size: int = 1024) -> np.ndarray:
    """Fine relief (size, size) uint8 around 128, periodic: detail of the ground finer than its raster."""
    relief = 0.75 * spectral_noise(rng, size, 0.7) + 0.55 * spectral_noise(rng, size, 0.1)
    spots = spectral_noise(rng, size, 0.9)
    relief = relief - 1.5 * np.clip(spots - 2.0, 0.0, 1.0) + 1.5 * np.clip(-spots - 2.2, 0.0, 1.0)
    return to_uint8(128.0 + 26.0 * relief)
