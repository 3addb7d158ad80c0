"""Textures of roofs, (256, 256, 3) uint8 RGB at 0.08 m per pixel."""

from __future__ import annotations

import numpy as np

from flight_sim.textures.noise import spectral_noise, to_uint8

ROOF_METRES_PER_PIXEL = 0.08
_TILE_PX = 256


def tiled_roof(rng: np.random.Generator) -> np.ndarray:
    """Courses of roof tiles with skylights and stains, for a pitched roof."""
    colours = np.array([[172, 84, 58], [150, 74, 56], [120, 72, 60], [98, 96, 98], [136, 112, 92], [190, 106, 72]])
    colour = colours[rng.integers(len(colours))] * rng.uniform(0.85, 1.1)
    courses = np.where(np.arange(_TILE_PX) % 4 == 0, 0.82, 1.0).astype(np.float32)[:, None]
    tones = 1.0 + 0.06 * np.kron(rng.standard_normal((64, 64)), np.ones((4, 4)))
    image = colour * (courses * tones * (1.0 + 0.06 * spectral_noise(rng, _TILE_PX, 1.5)))[..., None]
    for _ in range(rng.integers(0, 5)):
        x, y = rng.integers(10, 230, 2)
        image[y : y + 12, x : x + 10] = [64, 78, 92]
        image[y : y + 12, x : x + 2] = [170, 170, 170]
    return to_uint8(image)


def flat_roof(rng: np.random.Generator) -> np.ndarray:
    """Membrane or gravel with seams, puddles, installations with their shadows, and now and then solar panels."""
    colours = np.array([[184, 182, 176], [128, 126, 124], [206, 206, 202], [150, 136, 120], [104, 118, 104]])
    colour = colours[rng.integers(5)]
    shade = 1.0 + 0.05 * spectral_noise(rng, _TILE_PX, 0.4) + 0.07 * spectral_noise(rng, _TILE_PX, 1.8)
    image = colour * shade[..., None]
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
    return to_uint8(image)
