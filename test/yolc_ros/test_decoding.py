"""Blur, peaks, boxes and suppression, each against a plain version of the same rule."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolc_ros.decoding import (
    Peaks,
    ScoredBoxes,
    blur,
    cells_of,
    concatenate,
    decode_boxes,
    move_to_peaks,
    read_heatmap,
    suppress_doubles,
)


def naive_blur(heatmap: np.ndarray) -> np.ndarray:
    """Gaussian with sigma 1 over 3x3 of (C, H, W), edges mirrored, pixel by pixel."""
    taps = np.exp(-np.array([1.0, 0.0, 1.0]) / 2)
    kernel = np.outer(taps, taps) / taps.sum() ** 2
    padded = np.pad(heatmap.astype(np.float64), ((0, 0), (1, 1), (1, 1)), mode="reflect")
    _, h, w = heatmap.shape
    return sum(kernel[y, x] * padded[:, y : y + h, x : x + w] for y in range(3) for x in range(3))


def naive_peaks(blurred: np.ndarray, threshold: float) -> dict[tuple[int, int, int], float]:
    """(class, y, x) -> score of the pixels that no neighbour exceeds."""
    padded = np.pad(blurred, ((0, 0), (1, 1), (1, 1)), constant_values=-1)
    found = {}
    for c, y, x in np.argwhere(blurred >= threshold):
        if blurred[c, y, x] >= padded[c, y : y + 3, x : x + 3].max():
            found[int(c), int(y), int(x)] = float(blurred[c, y, x])
    return found


def logit(p: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.log(p / (1 - p))).float()


def drawn_heatmap(rng: np.random.Generator, classes: int, h: int, w: int, objects: int) -> np.ndarray:
    ys, xs = np.mgrid[:h, :w]
    heatmap = np.full((classes, h, w), 0.001)
    for _ in range(objects):
        c, y, x, s = rng.integers(classes), rng.uniform(-0.5, h - 0.5), rng.uniform(-0.5, w - 0.5), rng.uniform(0.7, 4)
        bump = rng.uniform(0.2, 0.95) * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * s * s))
        heatmap[c] = np.maximum(heatmap[c], bump)
    return heatmap


def test_blur_equals_a_plain_gaussian():
    heatmap = np.random.default_rng(0).uniform(size=(3, 13, 9))
    np.testing.assert_allclose(blur(torch.from_numpy(heatmap)).numpy(), naive_blur(heatmap), atol=1e-6)


@pytest.mark.parametrize("threshold", [0.05, 0.3])
@pytest.mark.parametrize(("h", "w", "objects"), [(8, 8, 2), (32, 64, 6), (100, 72, 30), (33, 17, 4)])
def test_peaks_equal_a_search_over_all_pixels(h, w, objects, threshold):
    heatmap = drawn_heatmap(np.random.default_rng(h), 3, h, w, objects)
    peaks = read_heatmap(logit(heatmap), threshold, 1000, presence=0.5).peaks
    expected = naive_peaks(naive_blur(heatmap), threshold)
    found = {
        (int(c), int(y), int(x)): float(s)
        for c, (x, y), s in zip(peaks.labels, peaks.positions, peaks.scores, strict=True)
    }
    assert found.keys() == expected.keys()
    assert len(found) > 0
    for place, score in expected.items():
        assert abs(found[place] - score) < 1e-5
    assert (peaks.scores.diff() <= 0).all()


@pytest.mark.parametrize("presence", [0.0905, 0.4, 0.002])
def test_presence_is_the_blurred_maximum_over_the_classes(presence):
    heatmap = drawn_heatmap(np.random.default_rng(3), 3, 64, 96, 12)
    present = read_heatmap(logit(heatmap), 0.3, 1000, presence).present.numpy()
    expected = naive_blur(heatmap).max(0)
    certain = np.abs(expected - presence) > 1e-5
    np.testing.assert_array_equal(present[certain], (expected >= presence)[certain])
    assert 0 < present.sum() < present.size


def test_a_noisy_map_far_above_the_threshold_is_read_completely():
    heatmap = np.random.default_rng(0).uniform(0.4, 0.6, size=(2, 48, 80))
    peaks = read_heatmap(logit(heatmap), 0.01, 100000, presence=0.9).peaks
    assert len(peaks.scores) == len(naive_peaks(naive_blur(heatmap), 0.01))


def test_channels_last_and_plain_memory_give_the_same():
    logits = logit(drawn_heatmap(np.random.default_rng(1), 4, 64, 64, 10))
    turned = logits[None].contiguous(memory_format=torch.channels_last)[0]
    a, b = (read_heatmap(x, 0.2, 1000, 0.09) for x in (logits, turned))
    assert torch.equal(a.peaks.positions, b.peaks.positions)
    assert torch.equal(a.peaks.scores, b.peaks.scores)
    assert torch.equal(a.present, b.present)


def test_nothing_is_an_ordinary_reading():
    reading = read_heatmap(torch.full((3, 32, 32), -8.0), 0.1, 10, 0.09)
    assert reading.peaks.scores.shape == (0,)
    assert reading.peaks.positions.shape == (0, 2)
    assert not reading.present.any()


def test_only_the_best_peaks_are_kept_and_equal_ones_in_order():
    heatmap = np.full((2, 64, 64), 0.001)
    places = [(1, 10, 50), (0, 40, 20), (0, 40, 5), (0, 8, 30), (1, 10, 7)]
    for c, y, x in places:
        heatmap[c, y, x] = 0.9
    heatmap[1, 60, 60] = 0.95
    peaks = read_heatmap(logit(heatmap), 0.05, 4, 0.5).peaks
    found = [(int(c), int(y), int(x)) for c, (x, y) in zip(peaks.labels, peaks.positions, strict=True)]
    assert found == [(1, 60, 60), (0, 8, 30), (0, 40, 5), (0, 40, 20)]


def test_logits_in_half_precision_are_decoded_in_float32():
    logits = logit(drawn_heatmap(np.random.default_rng(1), 2, 64, 64, 10)).bfloat16()
    half, single = (read_heatmap(x, 0.2, 1000, 0.09).peaks for x in (logits, logits.float()))
    assert half.scores.dtype == torch.float32
    assert torch.equal(half.scores, single.scores)
    assert torch.equal(half.positions, single.positions)


def test_a_peak_belongs_to_the_cell_that_holds_it():
    peaks = Peaks(torch.ones(3), torch.zeros(3, dtype=torch.int64), torch.tensor([[0, 3], [4, 7], [11, 12]]))
    assert cells_of(peaks, 1).tolist() == [[0, 0], [1, 1], [2, 3]]
    assert cells_of(peaks, 4).tolist() == peaks.positions.tolist()


def test_boxes_are_four_pixels_for_a_cell_from_its_grid_point():
    boxes = torch.tensor([[0.25, -0.5, 2.0, 1.0], [0.0, 0.0, -1.0, 3.0]])
    found = decode_boxes(boxes, torch.tensor([[10, 20], [1, 2]]))
    assert found.tolist() == [[33, 74, 49, 82], [4, -4, 4, 20]]


@pytest.mark.parametrize(("stride", "peak"), [(1, (12, 8)), (4, (3, 2))])
def test_boxes_move_to_the_middle_of_their_peaks_pixel(stride, peak):
    peaks = Peaks(torch.ones(1), torch.zeros(1, dtype=torch.int64), torch.tensor([peak]))
    boxes = torch.tensor([[8.0, 4.0, 12.0, 14.0]])
    assert torch.equal(move_to_peaks(boxes, peaks, stride, 0.0), boxes)
    moved = move_to_peaks(boxes, peaks, stride, 1.0)
    assert ((moved[:, :2] + moved[:, 2:]) / 2).tolist() == [[(peak[0] + 0.5) * stride, (peak[1] + 0.5) * stride]]
    assert (moved[:, 2:] - moved[:, :2]).tolist() == [[4, 10]]
    torch.testing.assert_close(move_to_peaks(boxes, peaks, stride, 0.5), (boxes + moved) / 2)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(w, 0) * max(h, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0


def naive_nms(found: ScoredBoxes, max_iou: float) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(found)), key=lambda i: (-found.scores[i], i)):
        if all(found.labels[i] != found.labels[j] or iou(found.boxes[i], found.boxes[j]) <= max_iou for j in kept):
            kept.append(i)
    return kept


def random_boxes(seed: int, count: int, spread: float = 100.0) -> ScoredBoxes:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, spread, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 30, (count, 2))], axis=1).astype(np.float32)
    scores = rng.integers(1, 50, count).astype(np.float32) / 50  # with ties
    return ScoredBoxes(boxes, scores, rng.integers(0, 3, count))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), count=st.integers(0, 120), max_iou=st.sampled_from([0.1, 0.3, 0.6]))
def test_suppression_equals_a_naive_one(seed, count, max_iou):
    found = random_boxes(seed, count)
    assert suppress_doubles(found, max_iou).tolist() == naive_nms(found, max_iou)


def test_suppression_across_blocks_equals_a_naive_one():
    found = dataclasses.replace(random_boxes(0, 700, spread=300), labels=np.zeros(700, np.int64))
    kept = suppress_doubles(found, 0.4).tolist()
    assert kept == naive_nms(found, 0.4)
    assert 256 < len(kept) < 700


def test_classes_do_not_suppress_each_other():
    boxes = np.tile(np.array([[0, 0, 10, 10]], np.float32), (3, 1))
    found = ScoredBoxes(boxes, np.array([0.5, 0.9, 0.7], np.float32), np.array([0, 0, 1]))
    assert suppress_doubles(found, 0.5).tolist() == [1, 2]


def test_the_concatenation_of_nothing_has_the_full_schema():
    nothing = concatenate([])
    assert (nothing.boxes.shape, nothing.scores.shape, nothing.labels.shape) == ((0, 4), (0,), (0,))
    assert (nothing.boxes.dtype, nothing.scores.dtype, nothing.labels.dtype) == (np.float32, np.float32, np.int64)
    assert len(concatenate([nothing, random_boxes(0, 4)])) == 4
