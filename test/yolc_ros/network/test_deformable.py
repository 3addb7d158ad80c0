"""Deformable convolution compared with a loop over pixels, taps and corners."""

import math

import numpy as np
import torch

from yolc_ros.network.deformable import DeformableConv, sample_bilinear
from yolc_ros.network.head import points_inside


def bilinear(feature: np.ndarray, x: float, y: float) -> np.ndarray:
    """feature (C, h, w) at (x, y); zeros outside."""
    _, h, w = feature.shape
    total = np.zeros(feature.shape[0])
    x0, y0 = math.floor(x), math.floor(y)
    for row, weight_y in ((y0, y0 + 1 - y), (y0 + 1, y - y0)):
        for column, weight_x in ((x0, x0 + 1 - x), (x0 + 1, x - x0)):
            if 0 <= row < h and 0 <= column < w:
                total += weight_y * weight_x * feature[:, row, column]
    return total


def naive(weight: np.ndarray, features: np.ndarray, points: np.ndarray) -> np.ndarray:
    """weight (O, C, 3, 3), features (B, C, h, w), points (B, 9, h, w, 2) -> (B, O, h, w)."""
    batch, _, h, w = features.shape
    out = np.zeros((batch, weight.shape[0], h, w))
    for b in range(batch):
        for row in range(h):
            for column in range(w):
                for ky in range(3):
                    for kx in range(3):
                        x, y = points[b, 3 * ky + kx, row, column]
                        out[b, :, row, column] += weight[:, :, ky, kx] @ bilinear(features[b], x, y)
    return out


def random_case(h: int, w: int) -> tuple[DeformableConv, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    conv = DeformableConv(5, 4)
    torch.nn.init.normal_(conv.weight)
    ys, xs = torch.meshgrid(torch.arange(float(h)), torch.arange(float(w)), indexing="ij")
    points = torch.stack([xs, ys], -1) + 4 * torch.randn(2, 9, h, w, 2)  # many outside the map
    return conv, torch.randn(2, 5, h, w), points


def test_all_cells_equal_a_plain_loop():
    for h, w in ((6, 7), (1, 5), (4, 1)):
        conv, features, points = random_case(h, w)
        with torch.no_grad():
            found = conv(features, points)
        expected = naive(conv.weight.detach().numpy(), features.numpy(), points.numpy())
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def test_some_cells_equal_a_plain_loop():
    conv, features, points = random_case(6, 7)
    cells = torch.tensor([[0, 0], [6, 5], [3, 2]])
    with torch.no_grad():
        found = conv.at(features[1], points[1, :, cells[:, 1], cells[:, 0]].transpose(0, 1))
    expected = naive(conv.weight.detach().numpy(), features.numpy(), points.numpy())
    np.testing.assert_allclose(found.numpy(), expected[1][:, cells[:, 1], cells[:, 0]].T, atol=1e-4)


def test_a_regular_grid_of_points_gives_an_ordinary_convolution():
    conv, features, _ = random_case(6, 7)
    ys, xs = torch.meshgrid(torch.arange(6.0), torch.arange(7.0), indexing="ij")
    taps = torch.tensor([[dx, dy] for dy in (-1.0, 0.0, 1.0) for dx in (-1.0, 0.0, 1.0)])
    points = torch.stack([xs, ys], -1) + taps[:, None, None]
    with torch.no_grad():
        found = conv(features, points.expand(2, -1, -1, -1, -1))
        expected = torch.nn.functional.conv2d(features, conv.weight, padding=1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_points_in_half_precision_maps_are_exact():
    columns = torch.arange(400.0).expand(1, 1, 2, 400)
    points = torch.tensor([[[[301.5, 0.0]]]])
    assert sample_bilinear((columns / 400).bfloat16(), points).dtype == torch.float32
    torch.testing.assert_close(sample_bilinear(columns, points).flatten(), torch.tensor([301.5]))


def test_points_lie_inside_the_coarse_box():
    coarse = torch.tensor([[1.0, -2.0, 3.0, 0.5]])  # centre (1, -2), 6 wide, 1 high
    corners = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.5, 0.25]])
    found = points_inside(coarse, corners, "xy")
    torch.testing.assert_close(found, torch.tensor([[-2.0, -2.5], [4.0, -1.5], [1.0, -2.25]]))


def test_the_release_swaps_the_axes():
    coarse, shares = torch.randn(6, 4), torch.rand(6, 2)
    released = points_inside(coarse, shares, "release_yx")
    for row in range(6):
        # In the release, the convolution reads the value computed from x and width as y.
        made_of_x = coarse[row, 0] - coarse[row, 2] + 2 * coarse[row, 2] * shares[row, 0]
        made_of_y = coarse[row, 1] - coarse[row, 3] + 2 * coarse[row, 3] * shares[row, 1]
        torch.testing.assert_close(released[row], torch.stack([made_of_y, made_of_x]))
