"""Windows, their context, and the expectation over the heatmap."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from loftr_ros.network.fine.matching import (
    FinePreprocess,
    expected_offset,
    gather_windows,
    log_heatmap,
    peak_offset,
)


@pytest.mark.parametrize("window", [3, 5])
def test_windows_equal_those_of_unfold(window: int) -> None:
    fine = torch.randn(2, 12, 16, 6)
    unfolded = nn.functional.unfold(fine.permute(0, 3, 1, 2), window, stride=4, padding=window // 2)
    unfolded = unfolded.reshape(2, 6, window, window, 12).permute(0, 4, 2, 3, 1)  # (2, 3 * 4, window, window, 6)
    b, cell = torch.arange(2).repeat_interleave(12), torch.arange(12).repeat(2)
    windows = gather_windows(fine, b, cell // 4 * 4, cell % 4 * 4, window)
    assert torch.equal(windows, unfolded.flatten(0, 1))


def test_context_equals_a_concatenation() -> None:
    torch.manual_seed(0)
    preprocess = FinePreprocess(12, 6)
    windows, coarse = torch.randn(4, 5, 5, 6), torch.randn(4, 12)
    context = preprocess.down_proj(coarse)[:, None, None].expand(4, 5, 5, 6)
    expected = preprocess.merge_feat(torch.cat([windows, context], -1))
    torch.testing.assert_close(preprocess(windows, coarse), expected, atol=1e-5, rtol=1e-5)


def test_the_offset_of_a_sharp_peak() -> None:
    windows0, windows1 = torch.zeros(1, 5, 5, 4), torch.zeros(1, 5, 5, 4)
    windows0[0, 2, 2, 0] = 1.0
    windows1[0, 1, 4, 0] = 1000.0  # row 1, column 4: one cell up, two to the right
    offset, spread = expected_offset(log_heatmap(windows0, windows1))
    assert offset.tolist() == [[2.0, -1.0]]
    assert spread.item() == pytest.approx(0, abs=1e-4)


def test_a_flat_heatmap_gives_the_centre_and_the_spread_of_the_window() -> None:
    offset, spread = expected_offset(log_heatmap(torch.zeros(3, 5, 5, 4), torch.randn(3, 5, 5, 4)))
    torch.testing.assert_close(offset, torch.zeros(3, 2))
    torch.testing.assert_close(spread, torch.full((3,), math.sqrt(2)))  # variance of -2 .. 2


def test_mean_and_spread_of_a_known_heatmap() -> None:
    """Two cells with odds e^1 : e^0, all others impossible."""
    windows0, windows1 = torch.zeros(1, 3, 3, 1), torch.full((1, 3, 3, 1), -1e4)
    windows0[0, 1, 1], windows1[0, 1, 0], windows1[0, 1, 2] = 1.0, 1.0, 0.0
    left = math.e / (math.e + 1)
    offset, spread = expected_offset(log_heatmap(windows0, windows1))
    assert offset[0].tolist() == pytest.approx([1 - 2 * left, 0.0], abs=1e-6)
    assert spread.item() == pytest.approx(math.sqrt(1 - (1 - 2 * left) ** 2) / 2, abs=1e-4)


def test_the_mean_around_the_peak_ignores_distant_cells() -> None:
    heatmap = torch.zeros(5, 5)
    heatmap[1, 4], heatmap[2, 3], heatmap[1, 3] = 0.4, 0.2, 0.1  # x 2, y -1 is the peak, beside it x 1
    heatmap[4, 0], heatmap[1, 2] = 0.2, 0.1  # far from the peak; two columns away
    log = heatmap.reshape(1, 25).log()
    x, y = (0.4 * 2 + 0.3 * 1) / 0.7, (0.5 * -1) / 0.7
    assert peak_offset(log)[0].tolist() == pytest.approx([x, y])
    assert expected_offset(log)[0][0].tolist() == pytest.approx([0.7 * x - 0.2 * 2, 0.7 * y - 0.1 + 0.2 * 2])


def test_in_a_window_of_three_cells_both_means_are_equal() -> None:
    log = torch.randn(6, 3, 3, generator=torch.Generator().manual_seed(0))
    log[:, 1, 1] += 9
    log = log.flatten(1).log_softmax(1)
    torch.testing.assert_close(peak_offset(log), expected_offset(log)[0])


def test_gradients_are_finite_at_zero_variance() -> None:
    windows0 = torch.zeros(1, 5, 5, 4)
    windows0[0, 2, 2, 0] = 1.0
    windows1 = torch.zeros(1, 5, 5, 4)
    windows1[0, 1, 4, 0] = 1000.0
    windows1.requires_grad_()
    offset, spread = expected_offset(log_heatmap(windows0, windows1))
    (offset.sum() + spread.sum()).backward()
    assert windows1.grad is not None
    assert windows1.grad.isfinite().all()
