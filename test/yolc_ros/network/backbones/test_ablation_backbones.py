"""ResNet and Hourglass: published sizes, shapes of the maps, exact folding, and their choice by configuration."""

from __future__ import annotations

import pytest
import torch

from perception_common.config import from_mapping, load_yaml
from perception_common.errors import InputError
from perception_common.resources import find_config
from yolc_ros.network.backbones.hourglass import StackedHourglass
from yolc_ros.network.backbones.resnet import ResNet
from yolc_ros.network.config import BackboneConfig, HourglassConfig, ResNetConfig, YolcConfig
from yolc_ros.network.fuse import prepare_for_inference
from yolc_ros.network.yolc import Yolc, initialise


@pytest.mark.parametrize(("depth", "published"), [(18, 11_689_512), (50, 25_557_032)])
def test_resnet_has_the_published_parameters_without_the_classifier(depth: int, published: int) -> None:
    with torch.device("meta"):
        network = ResNet(ResNetConfig(depth=depth))  # type: ignore[arg-type]
    parameters = sum(p.numel() for p in network.parameters())
    assert parameters == published - 1000 * (network.channels[-1] + 1)


def test_hourglass_104_has_104_layers_on_the_longest_path() -> None:
    with torch.device("meta"):
        network = StackedHourglass(HourglassConfig())

    def convolutions(module: torch.nn.Module) -> int:
        return sum(isinstance(m, torch.nn.Conv2d) and m.kernel_size[0] > 1 for m in module.modules())

    def longest(hourglass: torch.nn.Module) -> int:
        inner = hourglass.inner
        deeper = longest(inner) if hasattr(inner, "inner") else convolutions(inner)
        return convolutions(hourglass.down) + deeper + convolutions(hourglass.up)

    total = convolutions(network.stem) + sum(longest(h) for h in network.hourglasses)
    total += convolutions(network.outputs) + convolutions(network.merges)
    assert total == 103  # and one in each head makes 104


@pytest.mark.parametrize("size", [(32, 64), (96, 160)])
def test_maps_have_the_stated_channels_and_strides(size: tuple[int, int]) -> None:
    small = HourglassConfig(stacks=2, widths=(8, 8, 16), blocks=(1, 1, 2))
    for backbone in (ResNet(ResNetConfig(depth=18)), StackedHourglass(small)):
        maps = backbone.eval()(torch.zeros(2, 3, *size))
        assert [tuple(m.shape) for m in maps] == [
            (2, c, size[0] // s, size[1] // s) for c, s in zip(backbone.channels, backbone.strides, strict=True)
        ]


@pytest.mark.parametrize("backbone", [ResNetConfig(18), HourglassConfig(1, (8, 8), (1, 1))])
def test_network_detects_and_folds_with_either(backbone: BackboneConfig) -> None:
    network = Yolc(YolcConfig(("car",), backbone, neck_width=16, box_width=16))
    initialise(network)
    network.train()
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 255
    output = network(images)  # updates the running statistics of batch normalisation
    assert output.heatmap.shape == (2, 1, 64, 96)
    assert output.refined.shape == (2, 4, 16, 24)
    network.eval()
    with torch.no_grad():
        assert torch.allclose(prepare_for_inference(network)(images).heatmap, network(images).heatmap, atol=1e-4)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"backbone": {"kind": "hourglass", "depth": 18}}, "unknown key 'depth'"),
        ({"backbone": {"kind": "resnet", "depth": 34}}, "must be one of 18, 50"),
        ({"backbone": {"depth": 18}}, "hrnet, resnet, hourglass"),
        ({"resnet": {"depth": 18}}, "unknown key 'resnet'"),
    ],
)
def test_only_one_backbone_can_be_chosen(content: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        from_mapping(YolcConfig, {"class_names": ["car"], **content})


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "hourglass104"])
def test_configurations_are_valid(name: str) -> None:
    config = load_yaml(YolcConfig, find_config(f"models/yolc_{name}.yaml"))
    assert len(config.class_names) == 10
    assert name.startswith(config.backbone.kind)
