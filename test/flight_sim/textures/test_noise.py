"""Periodic noise."""

import numpy as np
import pytest

from flight_sim.textures.noise import spectral_noise


def test_noise_is_periodic() -> None:
    noise = spectral_noise(np.random.default_rng(0), 128, 1.5)
    across_border = np.abs(noise[:, 0] - noise[:, -1]).mean()
    inside = np.abs(np.diff(noise, axis=1)).mean()
    assert across_border < 1.5 * inside
    assert abs(noise.mean()) < 1e-4
    assert noise.std() == pytest.approx(1.0, abs=1e-3)
