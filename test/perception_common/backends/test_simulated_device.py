"""Detection and matching on a simulated GPU: no tensor is left on the wrong side, and few copies cross over."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from loftr_ros.image_matcher import MatcherSettings
from loftr_ros.matcher import Matcher
from loftr_ros.network.parts import loftr_parts
from perception_common.backends.devices import choose_device
from yolc_ros.detector import Detector, DetectorSettings
from yolc_ros.looks.crowds import HEAT_PRESETS
from yolc_ros.network.parts import yolc_parts


@pytest.fixture(scope="module")
def images():
    noise = np.random.default_rng(0).integers(0, 256, (15, 21)).astype(np.float32)
    texture = np.kron(noise, np.ones((8, 8), np.float32))
    return texture.astype(np.uint8), np.roll(texture, 3, axis=1).astype(np.uint8)


def test_the_simulation_refuses_to_mix_and_counts(gpu):
    on_gpu, on_cpu = torch.ones(3, device=gpu.device), torch.ones(3)
    assert on_gpu.device == gpu.device
    assert +gpu.counts == Counter()
    with pytest.raises(RuntimeError, match="one of \\(3,\\) is on cpu"):
        on_gpu + on_cpu
    with pytest.raises(TypeError):
        on_gpu.numpy()
    assert (on_gpu + on_cpu.to(gpu.device)).cpu().tolist() == [2, 2, 2]
    assert float(on_gpu.sum()) == 3
    assert len(on_gpu[on_gpu > 2]) == 0
    assert +gpu.counts == Counter(uploads=1, unpinned=1, downloads=1, waits=2)
    torch.empty(3, pin_memory=True).to(gpu.device, non_blocking=True)
    assert (gpu.counts["uploads"], gpu.counts["unpinned"]) == (2, 1)


def test_matching_copies_and_waits_four_times_for_an_image(gpu, images):
    settings = MatcherSettings(max_side=0)
    matcher = Matcher.load("loftr_lite", "default", gpu.policy, settings)
    reference = Matcher.load("loftr_lite", "default", choose_device("cpu"), settings)
    keyframe = matcher.encode(images[0])
    expected = reference.match(*map(reference.encode, images))
    matcher.match(keyframe, matcher.encode(images[1]))  # the pixels of a patch are chosen once
    gpu.counts.clear()
    found = matcher.match(keyframe, matcher.encode(images[1]))
    assert gpu.copies <= 4
    assert gpu.counts["waits"] <= 4
    assert gpu.counts["unpinned"] == 0
    np.testing.assert_allclose(found.points1, expected.points1, atol=1e-3)


def test_known_points_are_one_more_copy(gpu, images):
    matcher = Matcher.load("loftr_lite", "default", gpu.policy, MatcherSettings(max_side=0))
    reference = Matcher.load("loftr_lite", "default", choose_device("cpu"), MatcherSettings(max_side=0))
    known = np.array([[40.0, 33.0], [71.5, 62.0], [90.0, 30.0]], np.float32)
    features = [matcher.encode(image) for image in images]
    gpu.counts.clear()
    found = matcher.match(*features, known)
    assert gpu.copies <= 2
    assert gpu.counts["unpinned"] == 0
    expected = reference.match(*map(reference.encode, images), known)
    np.testing.assert_allclose(found.points0, expected.points0, atol=1e-3)


@pytest.mark.parametrize("lsm", [None, HEAT_PRESETS["heat"]])
@pytest.mark.parametrize("flip", [False, True])
def test_detection_copies_and_waits_three_times_a_look(gpu, lsm, flip):
    settings = DetectorSettings(score_threshold=0.01, lsm=lsm, flip=flip)
    detector = Detector.load("yolc_lite", "default", gpu.policy, settings)
    image = np.random.default_rng(0).integers(0, 256, (100, 130, 3), np.uint8)
    expected = Detector.load("yolc_lite", "default", choose_device("cpu"), settings).detect(image)
    assert len(expected.boxes)
    gpu.counts.clear()
    found = detector.detect(image)
    looks = (1 + flip) * (1 + len(found.regions))
    assert gpu.copies <= 3 * looks
    assert gpu.counts["waits"] <= 3 * looks
    assert gpu.counts["unpinned"] == 0
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
    np.testing.assert_array_equal(found.labels, expected.labels)


def test_parts_that_become_graphs_neither_copy_nor_wait(gpu):
    """CUDA refuses both while it records a graph."""
    matcher = Matcher.load("loftr_lite", "default", gpu.policy)
    detector = Detector.load("yolc_lite", "default", gpu.policy)
    for part in (*loftr_parts(matcher.network), *yolc_parts(detector.network)):
        inputs = [each.to(gpu.device) for each in part.example((64, 96), 1)]
        gpu.counts.clear()
        with torch.no_grad():
            assert all(output.device == gpu.device for output in part.module(*inputs))
        assert +gpu.counts == Counter(), part.name
