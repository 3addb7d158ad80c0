"""HRNet: sizes of its maps, and exchange between branches."""

import torch
from torch import nn
from torch.nn import functional

from yolc_ros.network.backbones.hrnet import ExchangeModule, Hrnet
from yolc_ros.network.config import HrnetConfig


def test_the_maps_have_the_documented_channels_and_strides():
    backbone = Hrnet(HrnetConfig(8, 4, 1, (4, 8, 16, 32), (1, 1, 1), 1)).eval()
    maps = backbone(torch.randn(2, 3, 64, 96))
    assert backbone.channels == (4, 8, 16, 32)
    for x, channels, stride in zip(maps, backbone.channels, backbone.strides, strict=True):
        assert x.shape == (2, channels, 64 // stride, 96 // stride)


def test_a_layer1_as_wide_as_the_first_branch_needs_no_transition():
    backbone = Hrnet(HrnetConfig(8, 4, 1, (16, 8, 16, 32), (1, 1, 1), 1))
    assert isinstance(backbone.transition1[0], nn.Identity)
    assert backbone.eval()(torch.randn(1, 3, 32, 32))[0].shape == (1, 16, 8, 8)


def test_every_branch_becomes_the_sum_of_all_branches():
    torch.manual_seed(0)
    module = ExchangeModule((4, 6, 8), blocks=1).eval()
    maps = [torch.randn(1, c, 8 >> i, 12 >> i) for i, c in enumerate((4, 6, 8))]
    high, middle, low = (branch(x) for branch, x in zip(module.branches, maps, strict=True))
    fuse = module.fuse_layers
    up = functional.interpolate(fuse[1][2](low), scale_factor=2, mode="nearest")
    torch.testing.assert_close(module(maps)[1], torch.relu(fuse[1][0](high) + middle + up))
    down_twice = fuse[2][0][1](fuse[2][0][0](high))
    torch.testing.assert_close(module(maps)[2], torch.relu(down_twice + fuse[2][1](middle) + low))
    assert len(fuse[2][0][0]) == 3  # ReLU on all steps of a path except the last
    assert len(fuse[2][0][1]) == 2
