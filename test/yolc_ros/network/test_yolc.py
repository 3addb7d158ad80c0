"""The whole network: published keys and sizes, outputs, and gradients."""

import dataclasses

import pytest
import torch

from perception_common.config import load_yaml
from yolc_ros.classes import VISDRONE_CLASSES
from yolc_ros.network.config import HrnetConfig, YolcConfig
from yolc_ros.network.yolc import Yolc, initialise

SMALL = YolcConfig(
    class_names=("car", "bus", "van"),
    backbone=HrnetConfig(8, 4, 1, (4, 8, 16, 32), (1, 1, 1), 1),
    neck_width=12,
    heatmap_width=2,
    box_width=8,
)


def small_network(**changes: object) -> Yolc:
    network = Yolc(dataclasses.replace(SMALL, **changes))
    initialise(network, seed=3)
    return network


def random_images(batch: int, height: int, width: int) -> torch.Tensor:
    return torch.randint(0, 256, (batch, 3, height, width), generator=torch.Generator().manual_seed(0)).byte()


def variant(repository, name: str) -> YolcConfig:
    return load_yaml(YolcConfig, repository / "config" / "models" / f"yolc_{name}.yaml")


def published_keys() -> set[str]:
    """Keys of the published checkpoint, from the description of its parts."""
    keys: set[str] = set()

    def conv(name: str, bias: bool = False) -> None:
        keys.add(f"{name}.weight")
        if bias:
            keys.add(f"{name}.bias")

    def norm(name: str) -> None:
        keys.update(
            f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        )

    def pair(name: str) -> None:
        conv(f"{name}.0")
        norm(f"{name}.1")

    for i in (1, 2):
        conv(f"backbone.conv{i}")
        norm(f"backbone.bn{i}")
    for block in range(4):
        for i in (1, 2, 3):
            conv(f"backbone.layer1.{block}.conv{i}")
            norm(f"backbone.layer1.{block}.bn{i}")
    pair("backbone.layer1.0.downsample")
    for transition in ("transition1.0", "transition1.1.0", "transition2.2.0", "transition3.3.0"):
        pair(f"backbone.{transition}")
    for stage, modules, branches in ((2, 1, 2), (3, 4, 3), (4, 3, 4)):
        for module in range(modules):
            prefix = f"backbone.stage{stage}.{module}"
            for i in range(branches):
                for block in range(4):
                    for k in (1, 2):
                        conv(f"{prefix}.branches.{i}.{block}.conv{k}")
                        norm(f"{prefix}.branches.{i}.{block}.bn{k}")
                for j in range(branches):
                    if j > i:
                        pair(f"{prefix}.fuse_layers.{i}.{j}")
                    for k in range(i - j):
                        pair(f"{prefix}.fuse_layers.{i}.{j}.{k}")
    conv("neck.reduction_conv.conv", bias=True)
    conv("neck.fpn_convs.0.conv", bias=True)
    for index in (0, 3, 5, 6):
        conv(f"bbox_head.local_head.{index}", bias=True)
    norm("bbox_head.local_head.1")
    for name in ("reg_conv.0", "reg_conv.2", "xywh_init", "bbox_offset"):
        conv(f"bbox_head.{name}", bias=True)
    conv("bbox_head.xywh_refine")
    return keys


def test_w48_has_exactly_the_published_keys_and_parameters(repository):
    with torch.device("meta"):
        network = Yolc(variant(repository, "w48"))
    keys = set(network.state_dict())
    assert len(keys) == 1856
    assert keys == published_keys()
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == 68.09


def test_w48_has_the_published_shapes(repository):
    with torch.device("meta"):
        state = Yolc(variant(repository, "w48")).state_dict()
    shapes = {
        "backbone.conv2.weight": (64, 64, 3, 3),
        "backbone.layer1.3.conv3.weight": (256, 64, 1, 1),
        "backbone.transition1.0.0.weight": (48, 256, 3, 3),
        "backbone.transition3.3.0.0.weight": (384, 192, 3, 3),
        "backbone.stage4.2.branches.3.3.conv2.weight": (384, 384, 3, 3),
        "backbone.stage4.0.fuse_layers.3.0.1.0.weight": (48, 48, 3, 3),
        "backbone.stage4.0.fuse_layers.3.0.2.0.weight": (384, 48, 3, 3),
        "backbone.stage4.0.fuse_layers.0.3.0.weight": (48, 384, 1, 1),
        "neck.reduction_conv.conv.weight": (384, 720, 1, 1),
        "neck.fpn_convs.0.conv.weight": (384, 384, 3, 3),
        "bbox_head.local_head.0.weight": (384, 384, 1, 1),
        "bbox_head.local_head.3.weight": (384, 80, 4, 4),
        "bbox_head.local_head.5.weight": (80, 80, 4, 4),
        "bbox_head.local_head.6.weight": (10, 8, 1, 1),
        "bbox_head.reg_conv.0.weight": (96, 384, 3, 3),
        "bbox_head.reg_conv.2.weight": (96, 96, 3, 3),
        "bbox_head.xywh_init.weight": (4, 96, 1, 1),
        "bbox_head.bbox_offset.weight": (18, 96, 1, 1),
        "bbox_head.xywh_refine.weight": (4, 96, 3, 3),
    }
    assert {key: tuple(state[key].shape) for key in shapes} == shapes


@pytest.mark.parametrize(("name", "millions"), [("w48", 68.09), ("w32", 30.83), ("w18", 10.22), ("lite", 1.72)])
def test_each_variant_has_its_number_of_parameters(repository, name, millions):
    config = variant(repository, name)
    with torch.device("meta"):
        network = Yolc(config)
    assert config.class_names == VISDRONE_CLASSES
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == millions
    published = name == "w48"
    assert (config.axis_order, config.padding) == (("release_yx", "release") if published else ("xy", "plain"))


def test_the_shapes_of_the_outputs():
    output = small_network()(random_images(2, 64, 96))
    assert output.heatmap.shape == (2, 3, 64, 96)
    assert output.coarse.shape == (2, 4, 16, 24)
    assert output.refined.shape == (2, 4, 16, 24)


def test_the_shapes_without_refinement_and_decoupled_heatmap():
    network = small_network(refinement=False, decoupled_heatmap=False)
    output = network(random_images(1, 64, 96))
    assert output.heatmap.shape == (1, 3, 16, 24)
    assert network.config.heatmap_stride == 4
    assert output.refined is None
    assert not any("offset" in key or "refine" in key for key in network.state_dict())


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_peak_share_must_be_a_fraction(share):
    with pytest.raises(ValueError, match="peak_share"):
        YolcConfig(("car",), peak_share=share)


@pytest.mark.parametrize("shape", [(1, 3, 64, 90), (1, 3, 33, 64), (3, 64, 64), (1, 1, 64, 64)])
def test_other_input_sizes_are_refused(shape):
    with pytest.raises(ValueError, match="multiples of 32"):
        small_network()(torch.zeros(shape))


def test_uint8_and_float_images_give_the_same():
    network, images = small_network().eval(), random_images(1, 32, 32)
    assert torch.equal(network(images).heatmap, network(images.float()).heatmap)


def test_an_image_gives_the_same_result_alone_and_in_a_batch():
    network, images = small_network().eval(), random_images(3, 64, 64)
    together, alone = network(images), network(images[1:2])
    torch.testing.assert_close(together.heatmap[1:2], alone.heatmap)
    torch.testing.assert_close(together.refined[1:2], alone.refined)


@pytest.mark.parametrize("refinement", [True, False])
@pytest.mark.parametrize("axis_order", ["xy", "release_yx"])
def test_boxes_at_cells_equal_the_dense_ones(refinement, axis_order):
    network = small_network(refinement=refinement, axis_order=axis_order).eval()
    make_boxes_differ(network)
    images = random_images(2, 64, 96)
    output, maps = network(images), network.maps(images)
    cells = torch.tensor([[0, 0], [23, 0], [0, 15], [23, 15], [7, 3], [11, 9], [7, 3]])
    dense = output.refined if refinement else output.coarse
    for index in range(2):
        found = network.boxes_at(maps.box_features[index], cells)
        torch.testing.assert_close(found, dense[index][:, cells[:, 1], cells[:, 0]].T, atol=1e-4, rtol=1e-4)
    assert torch.equal(maps.heatmap, output.heatmap)
    assert network.boxes_at(maps.box_features[0], cells[:0]).shape == (0, 4)


def make_boxes_differ(network: Yolc) -> None:
    """Give the box branch weights large enough for sampling points inside and outside the map."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in network.bbox_head.named_parameters():
            if "local_head" not in name:
                parameter.normal_(0, 0.3, generator=generator)


def test_the_axis_order_changes_the_refined_boxes_only():
    plain, swapped = small_network(), small_network(axis_order="release_yx")
    make_boxes_differ(plain)
    swapped.load_state_dict(plain.state_dict())
    a, b = plain.eval()(random_images(1, 64, 64)), swapped.eval()(random_images(1, 64, 64))
    assert torch.equal(a.coarse, b.coarse)
    assert not torch.allclose(a.refined, b.refined)


def test_every_parameter_has_a_gradient():
    network = small_network()
    make_boxes_differ(network)
    output = network(random_images(2, 64, 64))
    (output.heatmap.mean() + output.coarse.square().mean() + output.refined.square().mean()).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert without == []


def test_the_loss_of_refined_boxes_has_no_gradient_in_the_coarse_boxes():
    network = small_network()
    make_boxes_differ(network)
    network(random_images(1, 64, 64)).refined.square().mean().backward()
    assert network.bbox_head.xywh_init.weight.grad is None
    assert network.bbox_head.bbox_offset.weight.grad.abs().sum() > 0


def test_an_untrained_heatmap_predicts_one_percent(repository):
    network = Yolc(variant(repository, "lite"))
    initialise(network)
    with torch.no_grad():
        probabilities = network.eval()(random_images(1, 64, 64)).heatmap.sigmoid()
    assert probabilities.max() < 0.05
    assert abs(probabilities.mean().item() - 0.01) < 0.005


def test_the_seed_determines_the_untrained_weights():
    a, b, c = Yolc(SMALL), Yolc(SMALL), Yolc(SMALL)
    for network, seed in ((a, 1), (b, 1), (c, 2)):
        initialise(network, seed)
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.backbone.conv1.weight, c.backbone.conv1.weight)


def test_boxes_are_float32_in_a_bfloat16_network():
    network = small_network().eval().to(torch.bfloat16)
    maps = network.maps(random_images(1, 32, 64))
    assert maps.heatmap.dtype == torch.bfloat16
    assert network.boxes_at(maps.box_features[0], torch.tensor([[3, 4]])).dtype == torch.float32
