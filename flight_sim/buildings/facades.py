"""Textures of walls, (256, 256, 3) uint8 RGB at 0.05 m per pixel; rows grow upwards."""

from __future__ import annotations

import numpy as np

from flight_sim.textures.noise import spectral_noise, to_uint8

FACADE_METRES_PER_PIXEL = 0.05
_TILE_PX = 256
_STOREY_PX = 64  # 3.2 m


def facade_tile(rng: np.random.Generator) -> np.ndarray:
    """A plastered or brick wall with four by four windows, 3.2 m a storey."""
    wall_colours = np.array(
        [[196, 180, 156], [214, 208, 196], [170, 110, 88], [150, 150, 152], [206, 186, 130], [128, 96, 82]]
    )
    wall = wall_colours[rng.integers(len(wall_colours))] * rng.uniform(0.8, 1.1)
    noise = spectral_noise(rng, _TILE_PX, 0.8)
    image = wall.astype(np.float32) * (1.0 + 0.035 * noise[..., None])
    width, height = int(rng.integers(22, 56)), int(rng.integers(24, 44))
    has_bands = rng.random() < 0.4
    has_balconies = rng.random() < 0.4
    frame = wall * rng.uniform(0.7, 1.25)
    for row in range(4):
        if has_bands:
            image[row * _STOREY_PX : row * _STOREY_PX + 4] = frame
        for column in range(4):
            x, y = column * _STOREY_PX + (_STOREY_PX - width) // 2, row * _STOREY_PX + (_STOREY_PX - height) // 2 + 3
            glass = np.array([52.0, 64.0, 76.0]) * rng.uniform(0.5, 1.5)
            image[y - 2 : y + height + 2, x - 2 : x + width + 2] = frame
            image[y : y + height, x : x + width] = glass * np.linspace(0.8, 1.25, height)[:, None, None]
            if rng.random() < 0.25:  # a blind
                image[y + height // 2 : y + height, x : x + width] = rng.uniform(150, 215)
            if has_balconies and column % 2 == row % 2:
                image[y - 4 : y + 12, x - 7 : x + width + 7] = wall * 0.78
    return to_uint8(image)


def hall_tile(rng: np.random.Generator) -> np.ndarray:
    """A wall of ribbed sheet metal with a band of windows."""
    colour = np.array([[176, 182, 188], [120, 140, 160], [190, 184, 170], [150, 80, 66]])[rng.integers(4)]
    ribs = np.where(np.arange(_TILE_PX) % 16 < 3, 0.85, 1.0).astype(np.float32)
    image = colour * (ribs[None, :] * (1.0 + 0.04 * spectral_noise(rng, _TILE_PX, 1.2)))[..., None]
    image[150:170] = [84, 96, 108]
    return to_uint8(image)


def cloth_tile() -> np.ndarray:
    """Plain grey cloth (64, 64, 3), to be tinted."""
    return np.full((64, 64, 3), 120, np.uint8)
