"""Prefiltered textures."""

import numpy as np

from flight_sim.textures.pyramid import build_pyramid


def test_levels_keep_the_mean_and_choose_by_footprint() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    pyramid = build_pyramid(image, 0.1, smallest=16)
    assert [level.shape[0] for level in pyramid.levels] == [64, 32, 16]
    assert all(abs(level.mean() - image.mean()) < 1.0 for level in pyramid.levels)
    assert [pyramid.level_for(f) for f in (0.01, 0.1, 0.21, 0.4, 9.0)] == [0, 0, 1, 2, 2]


def test_a_point_lies_at_the_same_place_in_all_levels() -> None:
    """The left edge of the first texel is at half a texel before its centre, whatever the level."""
    pyramid = build_pyramid(np.zeros((64, 64), np.uint8), 0.1)
    for level in range(len(pyramid.levels)):
        edge = pyramid.texel_from_metres(level) @ [0.0, 0.0, 1.0]
        end = pyramid.texel_from_metres(level) @ [6.4, 6.4, 1.0]
        np.testing.assert_allclose(edge[:2], -0.5)
        np.testing.assert_allclose(end[:2], pyramid.levels[level].shape[0] - 0.5)
