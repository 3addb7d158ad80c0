"""The Local Scale Module on drawn heatmaps whose regions are known by hand."""

import dataclasses

import numpy as np
import pytest
import torch

from yolc_ros.clusters import (
    LSM_PRESETS,
    LsmConfig,
    count_cells,
    densest_cells,
    find_clusters,
    presence_threshold,
    to_regions,
)
from yolc_ros.decoding import read_heatmap
from yolc_ros.preprocessing import place

WIDTH, HEIGHT = 1280, 800  # cells of 80 x 80 pixels
OURS, PAPER, RELEASE = LSM_PRESETS["heat"], LSM_PRESETS["paper"], LSM_PRESETS["release"]


def draw(*objects: tuple[int, int], width: int = WIDTH, height: int = HEIGHT) -> torch.Tensor:
    """Logits (2, height, width) with an object of a few pixels at each (x, y)."""
    probability = np.full((2, height, width), 1e-4)
    ys, xs = np.mgrid[:height, :width]
    for index, (x, y) in enumerate(objects):
        near = np.s_[max(0, y - 9) : y + 10, max(0, x - 9) : x + 10]
        bump = 0.9 * np.exp(-((xs[near] - x) ** 2 + (ys[near] - y) ** 2) / 8.0)
        probability[index % 2][near] = np.maximum(probability[index % 2][near], bump)
    return torch.from_numpy(np.log(probability / (1 - probability))).float()


def clusters_of(logits: torch.Tensor, config: LsmConfig) -> list[list[float]]:
    presence = presence_threshold(logits, config)
    present = read_heatmap(logits, 0.3, 1000, presence).present
    height, width = present.shape
    return find_clusters(count_cells(present, config).numpy(), width, height, config).tolist()


def cell_centres(columns: range, rows: range) -> list[tuple[int, int]]:
    return [(80 * c + 40, 80 * r + 40) for r in rows for c in columns]


LEFT = cell_centres(range(2, 5), range(2, 4))  # 240 x 160 pixels at (160, 160)
RIGHT = cell_centres(range(10, 14), range(5, 7))  # 320 x 160 pixels at (800, 400)
LEFT_REGION = [160 - 24, 160 - 16, 400 + 24, 320 + 16]  # 1.2 times about the centre
RIGHT_REGION = [800 - 32, 400 - 16, 1120 + 32, 560 + 16]


@pytest.mark.parametrize("preset", ["heat", "paper"])
def test_two_clusters_become_two_regions_the_larger_first(preset):
    assert clusters_of(draw(*LEFT, *RIGHT), LSM_PRESETS[preset]) == [RIGHT_REGION, LEFT_REGION]


def test_our_preset_ignores_a_raised_floor_of_the_heatmap():
    """A network trained with weighted classes predicts 0.15 on bare ground, above the paper's presence."""
    raised = draw(*LEFT, *RIGHT).clamp(min=float(np.log(0.15 / 0.85)))
    assert clusters_of(raised, OURS) == [RIGHT_REGION, LEFT_REGION]
    assert clusters_of(raised, PAPER) != [RIGHT_REGION, LEFT_REGION]


def test_the_release_selects_empty_cells_too():
    """14 cells hold objects; the fifteenth is the first empty cell in reading order, and too small alone."""
    assert clusters_of(draw(*LEFT, *RIGHT), RELEASE) == [RIGHT_REGION, LEFT_REGION]
    # With four cells fewer, five empty cells of the first row form a region larger than the left cluster.
    found = clusters_of(draw(*LEFT[:2], *RIGHT), RELEASE)
    assert found == [RIGHT_REGION, [0, 0, 400 + 40, 80 + 8]]


def test_diagonal_neighbours_are_one_cluster():
    stairs = [(80 * i + 40, 80 * i + 40) for i in range(2, 6)]
    assert clusters_of(draw(*stairs), OURS) == [[160 - 32, 160 - 32, 480 + 32, 480 + 32]]


def test_touching_clusters_become_one():
    a, b = cell_centres(range(3, 5), range(3, 5)), cell_centres(range(5, 8), range(4, 5))
    assert clusters_of(draw(*a, *b), OURS) == [[240 - 40, 240 - 16, 640 + 40, 400 + 16]]


@pytest.mark.parametrize("preset", ["heat", "paper"])
def test_a_cluster_at_the_border_is_clipped(preset):
    corner = cell_centres(range(14, 16), range(8, 10))
    assert clusters_of(draw(*corner), LSM_PRESETS[preset]) == [[1120 - 16, 640 - 16, 1280, 800]]


def test_an_empty_heatmap_gives_no_region_except_with_the_release_preset():
    assert clusters_of(draw(), OURS) == []
    assert clusters_of(draw(), PAPER) == []
    # The release still selects 15 cells: the first row without its last cell.
    assert clusters_of(draw(), RELEASE) == [[0, 0, 1280, 88]]


def test_of_equally_full_cells_the_first_are_selected():
    logits = torch.full((2, HEIGHT, WIDTH), 3.0)
    # 15 cells: the first row without its last cell, 1200 x 80.
    assert clusters_of(logits, OURS) == [[0, 0, 1280, 88]]
    # 50 cells: three rows and two cells of the fourth, 1280 x 320.
    assert clusters_of(logits, PAPER) == [[0, 0, 1280, 352]]


def test_a_uniform_heatmap_has_no_presence_with_the_release_preset():
    """Its threshold is relative to the minimum, so all 15 selected cells are empty."""
    logits = torch.full((2, HEIGHT, WIDTH), 3.0)
    assert not read_heatmap(logits, 0.3, 1000, presence_threshold(logits, RELEASE)).present.any()
    assert clusters_of(logits, RELEASE) == [[0, 0, 1280, 88]]


def test_the_relative_threshold_is_that_of_the_release():
    """(1 - p) * 255 / max(1 - p) < 232 on the blurred map."""
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.05, 0.4, (2, 64, 64))
    logits = torch.from_numpy(np.log(probability / (1 - probability))).float()
    taps = np.exp(-np.array([1.0, 0.0, 1.0]) / 2)
    kernel = np.outer(taps, taps) / taps.sum() ** 2
    padded = np.pad(probability, ((0, 0), (1, 1), (1, 1)), mode="reflect")
    blurred = sum(kernel[y, x] * padded[:, y : y + 64, x : x + 64] for y in range(3) for x in range(3)).max(0)
    inverted = (1 - blurred) * 255 / (1 - blurred).max()
    certain = np.abs(inverted - 232) > 1e-3
    present = read_heatmap(logits, 0.9, 10, presence_threshold(logits, RELEASE)).present.numpy()
    np.testing.assert_array_equal(present[certain], (inverted < 232)[certain])
    assert 0 < present.sum() < present.size


def test_small_clusters_are_filtered_by_ours_but_not_by_the_paper():
    single_cells = [(40, 40), (1240, 40)]  # 80 x 80 is below 96 x 96
    assert clusters_of(draw(*single_cells, *LEFT), OURS) == [LEFT_REGION]
    assert clusters_of(draw(*single_cells), OURS) == []
    assert clusters_of(draw(*single_cells), PAPER) == [[0, 0, 88, 88], [1192, 0, 1280, 88]]
    # Choosing the k = 1 largest first, with the area threshold between the two sizes, loses nothing ...
    late = dataclasses.replace(OURS, regions=1, choose_before_filtering=True)
    assert clusters_of(draw(*single_cells, *LEFT), late) == [LEFT_REGION]
    # ... and an area threshold above the largest leaves no region in either order.
    assert clusters_of(draw(*LEFT), dataclasses.replace(late, smallest_area=240 * 160 + 1)) == []


def test_the_remainder_is_covered_by_ours_and_ignored_by_the_release():
    """1288 x 808: 16 x 10 cells of 80 leave 8 pixels, in which an object lies."""
    object_in_remainder = draw((1286, 806), width=1288, height=808)
    ours, release = (
        count_cells(read_heatmap(object_in_remainder, 0.3, 10, 0.09).present, config).numpy()
        for config in (OURS, RELEASE)
    )
    assert ours.sum() > 0
    assert ours[9, 15] == ours.sum()
    assert release.sum() == 0


def test_counts_equal_sums_over_slices():
    rng = np.random.default_rng(1)
    present = rng.uniform(size=(801, 1283)) < 0.3
    for config in (OURS, RELEASE):
        counts = count_cells(torch.from_numpy(present), config).numpy()
        assert counts.shape == (10, 16)
        for row in range(10):
            for column in range(16):
                if config.cover_remainder:
                    ys = slice(row * 801 // 10, (row + 1) * 801 // 10)
                    xs = slice(column * 1283 // 16, (column + 1) * 1283 // 16)
                else:
                    ys, xs = slice(row * 80, row * 80 + 80), slice(column * 80, column * 80 + 80)
                assert counts[row, column] == present[ys, xs].sum()


def test_the_fullest_cells_are_selected():
    counts = np.array([[0, 5, 1], [7, 5, 5]])
    assert densest_cells(counts, LsmConfig(densest=3)).tolist() == [[False, True, False], [True, True, False]]
    assert densest_cells(counts, LsmConfig(densest=6)).sum() == 5
    assert densest_cells(counts, LsmConfig(densest=6, skip_empty=False)).all()


def test_empty_cells_give_no_region():
    assert find_clusters(np.zeros((10, 16), np.int64), WIDTH, HEIGHT, OURS).shape == (0, 4)


def test_regions_are_whole_pixels_of_the_image():
    placement = place(1001, 777, "release")  # 1024 x 800, image at (12, 12)
    clusters = np.array([[100.4, 50.2, 300.0, 250.9], [900.0, 700.0, 1024.0, 800.0]])
    centres = np.array([[88.0, 38.0], [287.9, 238.0], [288.0, 100.0], [950.0, 700.0]])
    first, second = to_regions(clusters, placement, centres, zoom=1.5)
    assert (first.x0, first.y0, first.x1, first.y1) == (88, 38, 288, 239)
    assert (second.x0, second.y0, second.x1, second.y1) == (888, 688, 1001, 777)  # clipped to the image
    assert (first.expected, second.expected) == (2, 1)
    assert first.scale == 1.5


def test_a_region_in_the_padding_is_left_out():
    placement = place(100, 100)
    assert to_regions(np.array([[101.0, 10.0, 128.0, 60.0]]), placement, np.zeros((0, 2)), 1.5) == ()


def test_the_zoom_is_limited_and_regions_without_enlargement_are_left_out():
    clusters = np.array([[0.0, 0.0, 240.0, 60.0], [0.0, 0.0, 480.0, 270.0]])  # at half size
    placement = place(960, 540, scale=0.5)
    (region,) = to_regions(clusters, placement, np.zeros((0, 2)), zoom=1.5, max_side=480)
    assert (region.x1, region.scale) == (480, 1.0)  # 480 pixels at scale 1.5 would be 720
    # The second region covers the whole image: at a limit of 480 pixels the crop pass would not enlarge it.


@pytest.mark.parametrize(
    "wrong", [{"columns": 0}, {"presence": 1.0}, {"enlargement": 0.9}, {"zoom": 0.0}, {"regions": -1}]
)
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        LsmConfig(**wrong)
