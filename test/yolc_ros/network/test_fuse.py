"""Exact rewritings: folded batch normalisation, folded 1x1 convolution, reduction per branch."""

import dataclasses

import torch
from torch import nn
from torch.nn import functional

from yolc_ros.network.config import HrnetConfig, YolcConfig
from yolc_ros.network.fuse import prepare_for_inference, set_precision
from yolc_ros.network.head import HeatmapBranch
from yolc_ros.network.hrfpn import Hrfpn
from yolc_ros.network.yolc import Yolc

SMALL = YolcConfig(
    class_names=("car", "bus", "van"),
    backbone=HrnetConfig(8, 4, 2, (4, 8, 16, 32), (1, 1, 1), 2),
    neck_width=12,
    heatmap_width=4,
    box_width=8,
)


def shaken_network(config: YolcConfig) -> Yolc:
    """A network with random statistics and weights of batch normalisation, as after training."""
    torch.manual_seed(0)
    network = Yolc(config)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return network.eval()


def test_the_prepared_network_gives_the_same_results():
    for config in (SMALL, dataclasses.replace(SMALL, decoupled_heatmap=False)):
        network = shaken_network(config)
        images = torch.randint(0, 256, (2, 3, 64, 96)).byte()
        with torch.no_grad():
            before, after = network(images), prepare_for_inference(network)(images)
        torch.testing.assert_close(after.heatmap, before.heatmap, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(after.coarse, before.coarse, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(after.refined, before.refined, atol=1e-3, rtol=1e-3)


def test_the_prepared_network_has_no_batch_normalisation():
    prepared = prepare_for_inference(shaken_network(SMALL))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in prepared.modules())
    assert not any(parameter.requires_grad for parameter in prepared.parameters())


def test_the_original_network_is_not_changed():
    network = shaken_network(SMALL).train()
    keys = list(network.state_dict())
    prepare_for_inference(network)
    assert network.training
    assert list(network.state_dict()) == keys
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_the_folded_heatmap_equals_its_layers_one_by_one():
    torch.manual_seed(0)
    branch = HeatmapBranch(width=12, hidden=40, classes=5).double()
    features = torch.randn(2, 12, 6, 7, dtype=torch.float64)
    for mode in (True, False):
        branch.train(mode)
        expected = features
        for layer in branch.children():
            expected = layer(expected)
        torch.testing.assert_close(branch(features), expected, atol=1e-10, rtol=1e-10)


def test_the_folded_heatmap_has_the_gradients_of_its_layers():
    torch.manual_seed(0)
    branch = HeatmapBranch(width=6, hidden=6, classes=3).double()
    features = torch.randn(2, 6, 4, 4, dtype=torch.float64)

    def gradients(output: torch.Tensor) -> list[torch.Tensor]:
        return list(torch.autograd.grad(output.square().sum(), list(branch.parameters())))

    one_by_one = features
    for layer in branch.children():
        one_by_one = layer(one_by_one)
    for found, expected in zip(gradients(branch(features)), gradients(one_by_one), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-8, rtol=1e-8)


def test_reduction_per_branch_equals_reduction_of_the_concatenation():
    torch.manual_seed(0)
    channels = (4, 6, 8, 10)
    neck = Hrfpn(channels, 12).double()
    maps = tuple(torch.randn(2, c, 16 >> i, 24 >> i, dtype=torch.float64) for i, c in enumerate(channels))
    upsampled = [functional.interpolate(x, size=(16, 24), mode="bilinear", align_corners=False) for x in maps]
    expected = neck.fpn_convs[0](neck.reduction_conv(torch.cat(upsampled, dim=1)))
    torch.testing.assert_close(neck(maps), expected, atol=1e-10, rtol=1e-10)


@torch.no_grad()
def test_half_precision_keeps_colours_and_boxes_exact():
    network = prepare_for_inference(shaken_network(SMALL))
    half = set_precision(prepare_for_inference(network), torch.bfloat16)
    images = torch.randint(0, 256, (1, 3, 64, 96)).byte()
    box_features = half.maps(images).box_features
    assert box_features.dtype == half.maps(images).heatmap.dtype == torch.bfloat16
    assert torch.equal(half.mean, network.mean)
    cells = torch.tensor([[0, 0], [5, 3], [23, 15]])
    expected = network.boxes_at(box_features[0].float(), cells)
    torch.testing.assert_close(half.boxes_at(box_features[0], cells), expected)
