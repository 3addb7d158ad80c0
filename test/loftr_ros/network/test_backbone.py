"""Maps of the backbone: sizes, receptive field of a cell, and folding of batch normalisation."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from loftr_ros.network.backbone import PointwiseConvolution, ResNetFPN
from loftr_ros.network.config import BackboneConfig
from perception_common.backends.batch_norm import fold_batch_norm


def make_backbone(config: BackboneConfig) -> ResNetFPN:
    torch.manual_seed(0)
    backbone = ResNetFPN(config).eval()
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return backbone


@pytest.mark.parametrize(("height", "width"), [(64, 80), (61, 75), (8, 8), (33, 100)])
@pytest.mark.parametrize(
    ("config", "coarse_stride", "fine_stride"),
    [
        (BackboneConfig((8, 12, 16)), 8, 2),
        (BackboneConfig((8, 12, 16), fine_level=2), 8, 4),
        (BackboneConfig((8, 12, 16, 20), fine_level=2), 16, 4),
    ],
)
def test_sizes(config: BackboneConfig, coarse_stride: int, fine_stride: int, height: int, width: int) -> None:
    coarse, fine = make_backbone(config)(torch.rand(2, 1, height, width))
    assert (config.coarse_stride, config.fine_stride) == (coarse_stride, fine_stride)
    assert coarse.shape == (2, config.widths[-1], -(-height // coarse_stride), -(-width // coarse_stride))
    assert fine.shape == (
        2,
        config.widths[config.fine_level - 1],
        -(-height // fine_stride),
        -(-width // fine_stride),
    )


def test_a_coarse_cell_is_centred_on_its_pixel() -> None:
    """The receptive field of cell (x, y), from the gradient, is symmetric about pixel (8 x, 8 y)."""
    backbone = make_backbone(BackboneConfig((8, 12, 16)))
    image = torch.rand(1, 1, 256, 256, requires_grad=True)
    coarse, _ = backbone(image)
    coarse[0, :, 15, 17].sum().backward()
    assert image.grad is not None
    seen = image.grad[0, 0].nonzero()
    assert ((seen.amin(0) + seen.amax(0)) / 2).tolist() == [15 * 8, 17 * 8]


@pytest.mark.parametrize("config", [BackboneConfig((8, 12, 16)), BackboneConfig((8, 12, 16, 20), fine_level=2)])
def test_folding_is_exact(config: BackboneConfig) -> None:
    backbone = make_backbone(config).double()  # single precision rounds differently on different processors
    folded = copy.deepcopy(backbone)
    fold_batch_norm(folded)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
    images = torch.rand(1, 1, 61, 75, dtype=torch.float64)
    for one, other in zip(folded(images), backbone(images), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_pointwise_convolution_equals_an_ordinary_convolution() -> None:
    convolution = PointwiseConvolution(5, 7)
    x = torch.randn(2, 5, 6, 9)
    expected = nn.functional.conv2d(x, convolution.weight)
    torch.testing.assert_close(convolution(x), expected)
    with torch.no_grad():
        torch.testing.assert_close(convolution(x), expected, atol=1e-5, rtol=1e-5)
