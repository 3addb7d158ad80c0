"""How much detail an image holds: one that was enlarged or is out of focus has less than its pixels could show."""

from __future__ import annotations

import cv2
import numpy as np

_TILE = 128  # pixels, side of the tiles whose spectra are taken
_TILES = 4  # along each side of the image at most, so that large images take no longer (empirical)
_BANDS = 32  # of the spatial frequencies up to half a cycle per pixel: two samples of a tile's spectrum in each
_REFERENCE = slice(2, 4)  # coarse bands that the others are compared with: of 16 to 32 pixels a cycle (empirical)
_FAINTEST = 0.01  # of the reference, level of a band that still shows detail (empirical, docs/benchmarks.md#looks)


def share_of_detail(image: np.ndarray) -> float:
    """Estimate the smallest scale, above 0 to 1, to which an RGB image (H, W, 3) uint8 can be reduced without loss.

    The power spectrum of pictures falls with the square of the frequency (Field 1987), so power times squared frequency
    is about the same in all bands. The detail ends below the first band where it is faint. Noise counts as detail.
    1 for an image that does not tell: a uniform one, or one smaller than a tile.
    """
    height, width = image.shape[:2]
    if min(height, width) < _TILE:
        return 1.0
    window = np.outer(np.hanning(_TILE), np.hanning(_TILE)).astype(np.float32)
    power = np.zeros((_TILE, _TILE), np.float32)
    for y in _starts(height):
        for x in _starts(width):
            tile = cv2.cvtColor(image[y : y + _TILE, x : x + _TILE], cv2.COLOR_RGB2GRAY).astype(np.float32)
            spectrum = cv2.dft((tile - tile.mean()) * window, flags=cv2.DFT_COMPLEX_OUTPUT)
            power += (spectrum**2).sum(axis=2)
    frequencies = np.fft.fftfreq(_TILE).astype(np.float32)
    frequency = np.hypot(frequencies[:, None], frequencies)
    band = (2 * _BANDS * frequency).astype(int).ravel()
    level = np.bincount(band, (power * frequency**2).ravel()) / np.bincount(band)
    fine = level[_REFERENCE.stop : _BANDS]
    faint = np.flatnonzero(fine < _FAINTEST * level[_REFERENCE].mean())
    return float(_REFERENCE.stop + faint[0]) / _BANDS if len(faint) else 1.0


def _starts(side: int) -> list[int]:
    """Return the first pixels of tiles that are spread over a side without overlap."""
    starts: list[int] = np.linspace(0, side - _TILE, min(_TILES, side // _TILE)).astype(int).tolist()
    return starts
