"""Detection and matching on a simulated GPU: no tensor is left on the wrong side, and few copies cross over."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from loftr_ros.image_matcher import MatcherSettings
from loftr_ros.matcher import Matcher
from perception_common.backends.devices import choose_device
from yolc_ros.detector import Detector, DetectorSettings
from yolc_ros.looks.crowds import HEAT_PRESETS


@pytest.fixture(scope="module")
def images():
    noise = np.random.default_rng(0).integers(0, 256, (15, 21)).astype(np.float32)
    texture = np.kron(noise, np.ones((8, 8), np.float32))
    return texture.astype(np.uint8), np.roll(texture, 3, axis=1).astype(np.uint8)


def test_the_simulation_refuses_to_mix_and_counts(gpu):
    COUNTS.clear()
    on_gpu, on_cpu = torch.ones(3, device=CUDA), torch.ones(3)
    assert on_gpu.device == CUDA
    assert Counter() == COUNTS
    with pytest.raises(RuntimeError, match="one of \\(3,\\) is on cpu"):
        on_gpu + on_cpu
    with pytest.raises(TypeError):
        on_gpu.numpy()
    assert (on_gpu + on_cpu.to(CUDA)).cpu().tolist() == [2, 2, 2]
    assert float(on_gpu.sum()) == 3
    assert len(on_gpu[on_gpu > 2]) == 0
    assert Counter(uploads=1, downloads=1, waits=2) == COUNTS


def test_matching_copies_four_times_for_an_image(gpu, images):
    settings = MatcherSettings(max_side=0)
    matcher = Matcher.load("loftr_lite", "default", gpu, settings)
    reference = Matcher.load("loftr_lite", "default", choose_device("cpu"), settings)
    keyframe = matcher.encode(images[0])
    expected = reference.match(*map(reference.encode, images))
    COUNTS.clear()
    found = matcher.match(keyframe, matcher.encode(images[1]))
    assert COUNTS["uploads"] + COUNTS["downloads"] <= 4
    assert COUNTS["waits"] <= 20
    np.testing.assert_allclose(found.points1, expected.points1, atol=1e-3)


@pytest.mark.parametrize(
    ("lsm", "copies"),
    [
        (None, 3),
        (HEAT_PRESETS["heat"], 5),
    ],  # "heat" also copies the counts of its cells, and two matrices that sum them
)
def test_detection_copies_few_times_a_look(gpu, lsm, copies):
    settings = DetectorSettings(score_threshold=0.01, lsm=lsm)
    detector = Detector.load("yolc_lite", "default", gpu, settings)
    image = np.random.default_rng(0).integers(0, 256, (100, 130, 3), np.uint8)
    expected = Detector.load("yolc_lite", "default", choose_device("cpu"), settings).detect(image)
    assert len(expected.boxes)
    COUNTS.clear()
    found = detector.detect(image)
    looks = 1 + len(found.regions)
    assert COUNTS["uploads"] + COUNTS["downloads"] <= copies * looks
    assert COUNTS["waits"] <= 20 * looks
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
    np.testing.assert_array_equal(found.labels, expected.labels)
