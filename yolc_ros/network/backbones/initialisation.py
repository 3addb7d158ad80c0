"""Random weights of an untrained backbone."""

from __future__ import annotations

import torch
from torch import nn

from yolc_ros.network.backbones.hrnet import BasicBlock, Bottleneck
from yolc_ros.network.backbones.resnet import ResidualBlock


def initialise_backbone(backbone: nn.Module, generator: torch.Generator | None = None) -> None:
    """Initialise any of the backbones.

    Convolutions: He initialisation, normal with variance 2 / fan-out. The last normalisation of each residual block has
    weight 0, so that the block starts as its shortcut (arXiv 1706.02677, section 5.1).
    """
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    for module in backbone.modules():
        if isinstance(module, BasicBlock):
            nn.init.zeros_(module.bn2.weight)
        elif isinstance(module, Bottleneck):
            nn.init.zeros_(module.bn3.weight)
        elif isinstance(module, ResidualBlock):
            nn.init.zeros_(module.last_norm.weight)
