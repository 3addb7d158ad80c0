"""How much detail an image holds: one that was enlarged or is out of focus has less than its pixels could show."""

from __future__ import annotations

import cv2
import numpy as np

LARGEST_DETAIL_ZOOM = 2.35  # input pixels per pixel of detail (empirical, docs/benchmarks.md#looks)

_TILE = 128  # pixels, side of the tiles whose spectra are taken
_TILES = 4  # along each side of the image at most, so that large images take no longer (empirical)
_BANDS = 32  # of the spatial frequencies up to half a cycle per pixel: two samples of a tile's spectrum in each
_REFERENCE = slice(2, 4)  # coarse bands that the others are compared with: of 16 to 32 pixels a cycle (empirical)
_FAINTEST = 0.03  # of the reference, level of a band that still shows detail (empirical, docs/benchmarks.md#looks)
_IN_SUCCESSION = 3  # faint bands after which nothing follows: repeated shapes leave gaps between bands (empirical)


def useful_zoom(image: np.ndarray) -> float:
    """Return the input pixels per image pixel above which a look at an RGB image (H, W, 3) uint8 shows nothing more."""
    return LARGEST_DETAIL_ZOOM * share_of_detail(image)


def share_of_detail(image: np.ndarray) -> float:
    """Estimate the smallest scale, above 0 to 1, to which an RGB image (H, W, 3) uint8 can be reduced without loss.

    The power spectrum of pictures falls with the square of the frequency (Field 1987), so power times squared frequency
    is about the same in all bands. The detail ends where it becomes faint. Noise counts as detail. 1 for an image that
    does not tell: a uniform one, or one smaller than a tile.
    """
    if min(image.shape[:2]) < _TILE:
        return 1.0
    levels = _levels(image)
    faintest = _FAINTEST * levels[_REFERENCE].mean()
    strongest = np.lib.stride_tricks.sliding_window_view(levels, _IN_SUCCESSION).max(axis=1)
    faint = np.flatnonzero(strongest[_REFERENCE.stop :] < faintest)
    if not len(faint):
        return 1.0
    last = _REFERENCE.stop + int(faint[0]) - 1  # that shows detail
    above, below = np.log(np.maximum(levels[last : last + 2], 1e-12) / faintest)
    return float(last + 0.5 + above / (above - below)) / _BANDS


def _levels(image: np.ndarray) -> np.ndarray:
    """Return the mean of power times squared frequency in each band (_BANDS,), over tiles of an image."""
    window = np.outer(np.hanning(_TILE), np.hanning(_TILE)).astype(np.float32)
    power = np.zeros((_TILE, _TILE), np.float32)
    for y in _starts(image.shape[0]):
        for x in _starts(image.shape[1]):
            tile = cv2.cvtColor(image[y : y + _TILE, x : x + _TILE], cv2.COLOR_RGB2GRAY).astype(np.float32)
            spectrum = cv2.dft((tile - tile.mean()) * window, flags=cv2.DFT_COMPLEX_OUTPUT)
            power += (spectrum**2).sum(axis=2)
    frequencies = np.fft.fftfreq(_TILE).astype(np.float32)
    frequency = np.hypot(frequencies[:, None], frequencies)
    band = (2 * _BANDS * frequency).astype(int).ravel()
    return np.asarray(np.bincount(band, (power * frequency**2).ravel()) / np.bincount(band))[:_BANDS]


def _starts(side: int) -> list[int]:
    """Return the first pixels of tiles that are spread over a side without overlap."""
    starts: list[int] = np.linspace(0, side - _TILE, min(_TILES, side // _TILE)).astype(int).tolist()
    return starts
