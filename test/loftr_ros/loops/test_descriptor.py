"""Descriptors of images, with features whose covariance is known."""

import numpy as np
import pytest
import torch

from loftr_ros.loops.descriptor import LENGTH, describe, similarities
from loftr_ros.network.pooling import channel_covariance


def random_covariance(seed, channels=24):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(channels, channels)) / np.sqrt(channels)
    return A @ A.T


def test_the_covariance_is_that_of_numpy():
    features = torch.from_numpy(np.random.default_rng(0).normal(2.0, 1.0, (2, 5, 7, 6)))
    found = channel_covariance(features).numpy()
    for image, covariance in zip(features.numpy(), found, strict=True):
        np.testing.assert_allclose(covariance, np.cov(image.reshape(-1, 6).T, bias=True), atol=1e-6)


def test_padding_does_not_count():
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 4, 6, 3)))
    mask = torch.zeros(1, 4, 6, dtype=torch.bool)
    mask[:, :3, :4] = True
    np.testing.assert_allclose(channel_covariance(features, mask), channel_covariance(features[:, :3, :4]), atol=1e-6)


def test_a_turned_map_has_the_same_descriptor():
    features = torch.from_numpy(np.random.default_rng(1).normal(size=(1, 8, 12, 5)))
    upright = describe(channel_covariance(features)[0].numpy())
    for turns in (1, 2, 3):
        turned = describe(channel_covariance(torch.rot90(features, turns, (1, 2)))[0].numpy())
        np.testing.assert_allclose(turned, upright, atol=1e-4)


def test_the_sketch_keeps_cosines_of_covariances():
    a, b = random_covariance(1), random_covariance(2)
    mixtures = [(1 - t) * a + t * b for t in np.linspace(0, 1, 6)]
    true = [np.sum(a * m) / np.linalg.norm(a) / np.linalg.norm(m) for m in mixtures]
    sketched = [float(describe(a).astype(float) @ describe(m)) for m in mixtures]
    np.testing.assert_allclose(sketched, true, atol=5 / np.sqrt(LENGTH))
    assert sketched == sorted(sketched, reverse=True)


def test_descriptors_have_length_one_and_a_blank_image_has_none():
    assert np.linalg.norm(describe(random_covariance(3))) == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_array_equal(describe(np.zeros((24, 24))), np.zeros(LENGTH))


def test_what_all_images_share_does_not_count():
    common = np.array([10.0, 0.0, 0.0])
    others = common + np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
    np.testing.assert_allclose(similarities(common + np.array([0.0, 2.0, 0.0]), others), [1.0, -1.0])
    assert similarities(common, np.zeros((0, 3))).shape == (0,)
