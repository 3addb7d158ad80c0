"""The parts of LoFTR for other runtimes: through the seam, torch computes what it computes without."""

import numpy as np
import pytest
import torch

from loftr_ros.image_matcher import MatcherSettings
from loftr_ros.matcher import Matcher
from loftr_ros.network.parts import loftr_parts
from perception_common.backends.devices import DevicePolicy, choose_device
from perception_common.backends.runtime import TorchRuntime


class Counting:
    """Another runtime, which counts what it runs."""

    def __init__(self, runtime):
        self.parts = []
        self._runtime = runtime

    def run(self, part, *inputs):
        self.parts.append(part)
        return self._runtime.run(part, *inputs)


@pytest.fixture
def matcher():
    return Matcher.load("loftr_lite", "default", choose_device("cpu"), MatcherSettings(max_side=160))


@pytest.fixture
def images():
    noise = np.random.default_rng(0).integers(0, 256, (15, 21)).astype(np.float32)
    texture = np.kron(noise, np.ones((8, 8), np.float32))
    return texture.astype(np.uint8), np.roll(texture, 3, axis=1).astype(np.uint8)


def test_matching_runs_every_part_in_the_runtime(matcher, images):
    expected = matcher.match(*map(matcher.encode, images))
    assert len(expected) > 20
    runtime = Counting(TorchRuntime(loftr_parts(matcher.network)))
    matcher.network.runtime = runtime
    found = matcher.match(*map(matcher.encode, images))
    assert runtime.parts == ["encode", "encode", "transform", "fine"]
    for name, values in vars(expected).items():
        np.testing.assert_array_equal(getattr(found, name), values)


def test_the_masks_of_padded_images_are_inputs_too(matcher, images):
    matcher = matcher.with_settings(MatcherSettings(max_side=160, padding="release"))
    expected = matcher.match(*map(matcher.encode, images))
    matcher.network.runtime = TorchRuntime(loftr_parts(matcher.network))
    found = matcher.match(*map(matcher.encode, images))
    assert len(found) > 20
    np.testing.assert_array_equal(found.points1, expected.points1)


def test_the_examples_fit_the_parts(matcher):
    with torch.no_grad():
        for part in loftr_parts(matcher.network):
            for seed, size in enumerate(((64, 96), (96, 64))):
                inputs = part.example(size, seed)
                assert len(inputs) == len(part.inputs) == len(part.sizes)
                assert len(part.module(*inputs)) == len(part.outputs)


def test_bf16_changes_few_matches(matcher, images):
    policy = DevicePolicy(torch.device("cpu"), torch.bfloat16)
    half = Matcher.load("loftr_lite", "default", policy, MatcherSettings(max_side=160))
    expected = matcher.match(*map(matcher.encode, images))
    features = [half.encode(image) for image in images]
    assert features[0].network.coarse.dtype == features[0].network.fine.dtype == torch.float32
    np.testing.assert_array_equal(features[0].network.gray, matcher.encode(images[0]).network.gray)
    found = half.match(*features)
    cells = {pair: n for n, pair in enumerate(zip(expected.cells0.tolist(), expected.cells1.tolist(), strict=True))}
    common = [
        (cells[pair], n)
        for n, pair in enumerate(zip(found.cells0.tolist(), found.cells1.tolist(), strict=True))
        if pair in cells
    ]
    assert len(common) > 0.95 * max(len(expected), len(found))
    a, b = np.array(common).T
    assert np.median(np.linalg.norm(expected.points1[a] - found.points1[b], axis=1)) < 0.02
