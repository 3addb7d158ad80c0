"""Blur, peaks, presence and boxes, each compared with a plain implementation of the same rule."""

import numpy as np
import pytest
import torch

from yolc_ros.decoding import Peaks, blur, cells_of, decode_boxes, move_to_peaks, read_heatmap


def naive_blur(heatmap: np.ndarray) -> np.ndarray:
    """3x3 Gaussian blur of (C, H, W), sigma 1, with reflection at the border."""
    taps = np.exp(-np.array([1.0, 0.0, 1.0]) / 2)
    kernel = np.outer(taps, taps) / taps.sum() ** 2
    padded = np.pad(heatmap.astype(np.float64), ((0, 0), (1, 1), (1, 1)), mode="reflect")
    _, h, w = heatmap.shape
    return sum(kernel[y, x] * padded[:, y : y + h, x : x + w] for y in range(3) for x in range(3))


def naive_peaks(blurred: np.ndarray, threshold: float) -> dict[tuple[int, int, int], float]:
    """{(class, y, x): score} of the pixels that no neighbour exceeds."""
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


def test_all_peaks_of_a_noisy_map_above_the_threshold_are_found():
    heatmap = np.random.default_rng(0).uniform(0.4, 0.6, size=(2, 48, 80))
    peaks = read_heatmap(logit(heatmap), 0.01, 100000, presence=0.9).peaks
    assert len(peaks.scores) == len(naive_peaks(naive_blur(heatmap), 0.01))


def test_the_memory_layout_does_not_change_the_result():
    logits = logit(drawn_heatmap(np.random.default_rng(1), 4, 64, 64, 10))
    turned = logits[None].contiguous(memory_format=torch.channels_last)[0]
    a, b = (read_heatmap(x, 0.2, 1000, 0.09) for x in (logits, turned))
    assert torch.equal(a.peaks.positions, b.peaks.positions)
    assert torch.equal(a.peaks.scores, b.peaks.scores)
    assert torch.equal(a.present, b.present)


def test_an_empty_heatmap_has_no_peaks_and_no_presence():
    reading = read_heatmap(torch.full((3, 32, 32), -8.0), 0.1, 10, 0.09)
    assert reading.peaks.scores.shape == (0,)
    assert reading.peaks.positions.shape == (0, 2)
    assert not reading.present.any()


def test_the_limit_keeps_the_best_peaks_and_equal_ones_in_order():
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


def test_the_cell_of_a_peak_contains_it():
    peaks = Peaks(torch.ones(3), torch.zeros(3, dtype=torch.int64), torch.tensor([[0, 3], [4, 7], [11, 12]]))
    assert cells_of(peaks, 1).tolist() == [[0, 0], [1, 1], [2, 3]]
    assert cells_of(peaks, 4).tolist() == peaks.positions.tolist()


def test_boxes_are_relative_to_the_grid_point_in_cells_of_four_pixels():
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
