"""Degradation of images."""

import math

import numpy as np

from flight_sim.degradation import NO_DEGRADATION, ImageDegradation, degrade, sample_degradation, with_changed_light

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
DEPTH = np.full((60, 80), 50.0, np.float32)


def test_no_degradation_changes_nothing() -> None:
    np.testing.assert_array_equal(degrade(IMAGE, DEPTH, NO_DEGRADATION, np.random.default_rng(0)), IMAGE)


def test_strength_zero_is_no_degradation() -> None:
    assert all(sample_degradation(np.random.default_rng(seed), 0.0) == NO_DEGRADATION for seed in range(5))


def test_haze_takes_63_percent_at_the_visibility() -> None:
    black = np.zeros((40, 40, 3), np.uint8)
    hazy = degrade(
        black, np.full((40, 40), 300.0, np.float32), ImageDegradation(visibility_m=300.0), np.random.default_rng(0)
    )
    np.testing.assert_allclose(hazy.mean(axis=(0, 1)), np.array([205, 214, 222]) * (1 - math.exp(-1)), atol=2.0)


def test_motion_blur_is_along_the_motion_only() -> None:
    stripes = np.zeros((60, 60, 3), np.uint8)
    stripes[:, ::6] = 255
    along = degrade(stripes, DEPTH[:60, :60], NO_DEGRADATION, np.random.default_rng(0), motion_px=(0.0, 8.0))
    across = degrade(stripes, DEPTH[:60, :60], NO_DEGRADATION, np.random.default_rng(0), motion_px=(8.0, 0.0))
    np.testing.assert_allclose(along, stripes, atol=1)
    assert across.std() < 0.5 * stripes.std()


def test_noise_has_the_given_deviation() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = degrade(
        grey, np.ones((200, 200), np.float32), ImageDegradation(noise=5.0), np.random.default_rng(0)
    ).astype(float)
    assert abs(noisy.mean() - 128) < 0.3
    assert abs(noisy.std() - 5.0) < 0.3


def test_degradation_is_reproducible() -> None:
    degradation = with_changed_light(sample_degradation(np.random.default_rng(3)), np.random.default_rng(4), 1.0)
    one, same = (degrade(IMAGE, DEPTH, degradation, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, same)
