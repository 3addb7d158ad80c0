"""Training targets: heatmap, boxes at their cells, and masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolc_ros.datasets.samples import ImageLabels
from yolc_ros.training.targets import draw_gaussian, gaussian_radius, make_targets, presence_map


def truth_of(
    boxes: list[tuple[float, ...]], labels: list[int], ignored: list[tuple[float, ...]] | None = None
) -> ImageLabels:
    return ImageLabels(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels, np.int64),
        np.array(ignored or [], np.float32).reshape(-1, 4),
        np.array([True, True, True]),
    )


def iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / (area - shared)


@settings(deadline=None, max_examples=60)
@given(st.floats(4, 200), st.floats(4, 200))
def test_the_radius_is_the_largest_with_the_minimum_overlap(w: float, h: float) -> None:
    def worst(r: float) -> float:
        moved = [(r, r, w + r, h + r), (-r, -r, w + r, h + r)]
        if 2 * r < min(w, h):
            moved.append((r, r, w - r, h - r))
        return min(iou((0, 0, w, h), box) for box in moved)

    radius = gaussian_radius(w, h, 0.3)
    assert worst(radius) >= 0.3 - 1e-6
    assert worst(radius + 1) < 0.3 + 1e-6 or 2 * (radius + 1) >= min(w, h)


def test_the_gaussian_has_its_sigma_and_a_peak_of_exactly_one() -> None:
    heatmap = np.zeros((21, 21), np.float32)
    draw_gaussian(heatmap, np.array([10.7, 10.2]), 4)
    sigma = 9 / 6
    assert heatmap[10, 10] == 1
    assert heatmap[10, 13] == pytest.approx(np.exp(-9 / (2 * sigma**2)), rel=1e-5)
    assert heatmap[10, 15] == 0  # beyond the radius


def test_overlapping_gaussians_keep_the_maximum_and_are_clipped_to_the_map() -> None:
    heatmap = np.zeros((8, 8), np.float32)
    draw_gaussian(heatmap, np.array([0.0, 0.0]), 6)
    before = heatmap.copy()
    draw_gaussian(heatmap, np.array([7.9, 7.9]), 2)
    assert (heatmap >= before).all()
    assert heatmap[0, 0] == heatmap[7, 7] == 1


def test_a_box_is_assigned_to_the_cell_of_its_centre() -> None:
    targets = make_targets(truth_of([(10, 20, 26, 28)], [1]), 64, 32)  # centre (18, 24)
    assert targets.cells.tolist() == [[4, 6]]
    assert targets.boxes.tolist() == [[0.5, 0.0, 2.0, 1.0]]
    assert np.argwhere(targets.heatmap == 1).tolist() == [[1, 24, 18]]


def test_the_later_box_in_a_cell_is_used_and_both_peaks_are_kept() -> None:
    targets = make_targets(truth_of([(8, 8, 10, 10), (8, 8, 12, 14)], [0, 2]), 32, 32)  # centres (9, 9), (10, 11)
    assert targets.cells.tolist() == [[2, 2]]
    assert targets.boxes[0].tolist() == [0.5, 0.75, 0.5, 0.75]
    assert targets.objects == 2
    assert np.argwhere(targets.heatmap == 1).tolist() == [[0, 9, 9], [2, 11, 10]]


def test_a_centre_on_the_far_border_belongs_to_the_last_cell() -> None:
    targets = make_targets(truth_of([(30, 30, 34, 34)], [0]), 32, 32)
    assert targets.cells.tolist() == [[7, 7]]
    assert targets.heatmap[0, 31, 31] == 1


def test_ignored_regions_are_not_trusted() -> None:
    targets = make_targets(truth_of([], [], [(3.5, 0, 6, 2), (-9, -9, -1, -1)]), 32, 32)
    assert np.argwhere(~targets.trust).tolist() == [[y, x] for y in (0, 1) for x in (3, 4, 5)]
    assert targets.heatmap.max() == 0
    assert targets.boxes.shape == (0, 4)


def test_coupled_heatmap_has_the_stride_of_the_boxes() -> None:
    targets = make_targets(truth_of([(10, 20, 26, 28)], [1], [(0, 0, 8, 8)]), 64, 32, stride=4)
    assert targets.heatmap.shape == (3, 8, 16)
    assert np.argwhere(targets.heatmap == 1).tolist() == [[1, 6, 4]]
    assert (~targets.trust).sum() == 4


def test_the_presence_map_is_the_maximum_over_classes() -> None:
    truth = truth_of([(10, 20, 26, 28), (40, 4, 48, 12)], [1, 2])
    assert np.array_equal(presence_map(truth, 64, 32), make_targets(truth, 64, 32).heatmap.max(0))
