"""Untrained weights of every backbone: He initialisation, and residual blocks that start as their shortcuts."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from yolc_ros.network.backbones.hrnet import BasicBlock, Bottleneck
from yolc_ros.network.backbones.resnet import ResidualBlock
from yolc_ros.network.config import BackboneConfig, HourglassConfig, HrnetConfig, ResNetConfig, YolcConfig
from yolc_ros.network.yolc import Yolc, initialise

BACKBONES = [
    HrnetConfig(16, 8, 2, (8, 16, 32, 64), (1, 1, 1), 1),
    ResNetConfig(depth=18),
    ResNetConfig(depth=50),
    HourglassConfig(stacks=2, widths=(16, 16, 24), blocks=(1, 1, 2)),
]


def initialised_backbone(config: BackboneConfig) -> nn.Module:
    network = Yolc(YolcConfig(("car",), config, neck_width=8, box_width=8))
    initialise(network)
    return network.backbone


def standardised_weights(backbone: nn.Module) -> list[Tensor]:
    """Weights of each convolution over the standard deviation of He initialisation, sqrt(2 / fan-out)."""
    convolutions = [module for module in backbone.modules() if isinstance(module, nn.Conv2d)]
    return [m.weight.detach().flatten() / math.sqrt(2 / (m.out_channels * m.kernel_size[0] ** 2)) for m in convolutions]


def fraction_beyond_one(weights: list[Tensor]) -> float:
    """Fraction of weights beyond one standard deviation: 0.317 for a normal distribution, 0.423 for a uniform one."""
    return (torch.cat(weights).abs() > 1).float().mean().item()


@pytest.mark.parametrize("config", BACKBONES, ids=str)
def test_every_convolution_has_he_initialisation(config: BackboneConfig) -> None:
    weights = standardised_weights(initialised_backbone(config))
    for values in weights:
        assert abs(values.std().item() - 1) < 5 / math.sqrt(2 * len(values))  # five standard errors
    assert fraction_beyond_one(weights) == pytest.approx(0.317, abs=0.02)


@pytest.mark.parametrize("config", BACKBONES, ids=str)
def test_the_default_initialisation_of_torch_fails_this_test(config: BackboneConfig) -> None:
    weights = standardised_weights(Yolc(YolcConfig(("car",), config, neck_width=8, box_width=8)).backbone)
    assert fraction_beyond_one(weights) < 0.2
    assert any(abs(values.std().item() - 1) > 0.5 for values in weights)


@pytest.mark.parametrize("config", BACKBONES, ids=str)
def test_residual_blocks_start_as_their_shortcuts(config: BackboneConfig) -> None:
    inputs: list[tuple[nn.Module, Tensor, Tensor]] = []

    def record(module: nn.Module, args: tuple[Tensor], output: Tensor) -> None:
        inputs.append((module, args[0].clone(), output.clone()))

    backbone = initialised_backbone(config).eval()
    for module in backbone.modules():
        if isinstance(module, BasicBlock | Bottleneck | ResidualBlock):
            module.register_forward_hook(record)
    with torch.no_grad():
        backbone(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
        assert len(inputs) >= 8
        for module, x, output in inputs:
            shortcut = {BasicBlock: "", Bottleneck: "downsample", ResidualBlock: "shortcut"}[type(module)]
            torch.testing.assert_close(output, torch.relu(module.get_submodule(shortcut)(x) if shortcut else x))
