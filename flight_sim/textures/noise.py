"""Periodic noise."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


def spectral_noise(rng: np.random.Generator, size: int, exponent: float) -> np.ndarray:
    """Periodic noise (size, size) float32, mean 0, deviation 1; its amplitude falls as frequency ** -exponent."""
    spectrum = np.fft.rfft2(rng.standard_normal((size, size), dtype=np.float32))
    noise = np.fft.irfft2(spectrum * _amplitudes(size, exponent), s=(size, size)).astype(np.float32)
    return noise / noise.std()


@lru_cache(maxsize=32)  # a scene asks 77 times for 20 of them
def _amplitudes(size: int, exponent: float) -> np.ndarray:
    """Amplitudes (size, size // 2 + 1) by frequency, as of np.fft.rfft2; 0 for the mean."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = 1.0
    amplitudes = frequency**-exponent
    amplitudes[0, 0] = 0.0
    amplitudes.flags.writeable = False
    return amplitudes


def to_uint8(image: np.ndarray) -> np.ndarray:
    """The image clipped to 0 to 255 and rounded down."""
    return np.clip(image, 0, 255).astype(np.uint8)
