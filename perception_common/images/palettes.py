"""Thermal images in false colours become gray again.

Thermal cameras often deliver their picture already coloured by a palette. A network that was trained on gray images
finds little in them: in a palette such as jet the brightness does not even rise with the temperature.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

PALETTES = {  # by OpenCV's names
    "jet": cv2.COLORMAP_JET,
    "turbo": cv2.COLORMAP_TURBO,
    "rainbow": cv2.COLORMAP_RAINBOW,
    "hot": cv2.COLORMAP_HOT,
    "inferno": cv2.COLORMAP_INFERNO,
    "plasma": cv2.COLORMAP_PLASMA,
    "magma": cv2.COLORMAP_MAGMA,
}
TOLERANCE = 16.0  # median distance of the pixels from a palette, RGB levels; JPEG adds up to 10 (empirical)
GRAY_SPREAD = 8  # difference of the channels of a gray pixel; JPEG adds a few levels (empirical)
_SAMPLES = 32  # pixels along each side that choose the palette
_BITS = 5  # of each channel in the tables of inverse palettes


def to_thermal_gray(image: np.ndarray) -> np.ndarray:
    """Return a thermal image (H, W, 3) uint8 RGB as gray in three equal channels, of the same shape and type.

    An image whose channels are equal is returned as it is. Colours of one of PALETTES become the place in the palette,
    0 to 255. The brightness stands for other colours: it rises with the temperature in palettes such as iron.
    """
    height, width = image.shape[:2]
    rows = np.linspace(0, height - 1, min(height, _SAMPLES)).astype(int)
    columns = np.linspace(0, width - 1, min(width, _SAMPLES)).astype(int)
    sample = image[np.ix_(rows, columns)].reshape(1, -1, 3)
    if np.percentile(np.ptp(sample, axis=-1), 99) <= GRAY_SPREAD:
        return image
    name = _palette_of(sample)
    if name is None:
        gray = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    else:
        gray = _inverse(name)[_cells(image)]
    return np.repeat(gray[:, :, None], 3, axis=2)


def _palette_of(sample: np.ndarray) -> str | None:
    """Return the palette that pixels (1, N, 3) lie closest to; None where none is within TOLERANCE."""
    cells, colours = _cells(sample), sample.astype(np.float32)
    distances = {name: np.linalg.norm(colours - _palette(name)[_inverse(name)[cells]], axis=-1) for name in PALETTES}
    best = min(distances, key=lambda name: float(distances[name].mean()))  # palettes share some of their colours
    return best if np.median(distances[best]) <= TOLERANCE else None


@cache
def _palette(name: str) -> np.ndarray:
    """Return the colours of a palette from cold to hot, (256, 3) float32 RGB."""
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    return cv2.applyColorMap(ramp, PALETTES[name])[:, 0, ::-1].astype(np.float32)


@cache
def _inverse(name: str) -> np.ndarray:
    """Return the place in a palette for each cell of `_cells`, uint8."""
    levels = (np.arange(1 << _BITS, dtype=np.float32) + 0.5) * (1 << (8 - _BITS))
    colours = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    palette = _palette(name)
    # |colour - entry|^2 without |colour|^2, which is the same for all entries
    return (np.square(palette).sum(axis=1) - 2 * colours @ palette.T).argmin(axis=1).astype(np.uint8)


def _cells(image: np.ndarray) -> np.ndarray:
    """Return the cell of the tables that each pixel (H, W, 3) uint8 falls into, (H, W) int32."""
    channels = (image >> (8 - _BITS)).astype(np.int32)
    return (channels[..., 0] << 2 * _BITS) | (channels[..., 1] << _BITS) | channels[..., 2]
