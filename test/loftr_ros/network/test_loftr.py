"""The whole network, compared with kornia's LoFTR with the same weights, and its invariants."""

from __future__ import annotations

import copy
from dataclasses import fields, replace

import pytest
import torch
from kornia import __version__ as kornia_version
from kornia.feature import LoFTR as KorniaLoFTR
from kornia.feature.loftr.loftr import default_cfg
from torch import nn

from loftr_ros.network.config import (
    BackboneConfig,
    FineConfig,
    LoFTRConfig,
    MatchingConfig,
    PositionConfig,
    SelectionConfig,
    TransformerConfig,
)
from loftr_ros.network.fine.matching import peak_offset
from loftr_ros.network.loftr import LoFTR, prepare_for_inference
from loftr_ros.network.results import PairMatches
from perception_common.config import load_yaml

SMALL = LoFTRConfig(
    backbone=BackboneConfig(widths=(16, 24, 32)),
    coarse=TransformerConfig(heads=4),
    fine=FineConfig(transformer=TransformerConfig(heads=2, layers=("self", "cross"))),
)
LOW = SelectionConfig(threshold=0.01, border=0)


def make_network(config: LoFTRConfig) -> LoFTR:
    """Random weights whose features are distinctive, so that a shifted image has hundreds of matches."""
    torch.manual_seed(1)
    network = LoFTR(config).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.1, 0.1)
        if isinstance(module, nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.1, 0.3)
    make_cells_distinctive(network)
    fine_head = network.backbone.get_submodule(f"layer{config.backbone.fine_level}_outconv2")[3]
    nn.init.normal_(fine_head.weight, std=0.01)
    return network


@torch.no_grad()
def make_cells_distinctive(network: LoFTR) -> None:
    """Make the coarse map the whitened principal components of the last level, which differ between cells.

    The output of an untrained level itself is nearly equal in all cells.
    """
    level = network.backbone.get_submodule(f"layer{network.backbone.levels}")
    head = network.backbone.get_submodule(f"layer{network.backbone.levels}_outconv")
    seen: list[torch.Tensor] = []
    hook = level.register_forward_hook(lambda module, inputs, output: seen.append(output))
    network.backbone(make_pair(240, 320, seed=1)[0])
    hook.remove()
    cells = seen[0].movedim(1, -1).flatten(0, 2)
    mean = nn.functional.normalize(cells.mean(0), dim=0)
    _, deviation, components = torch.linalg.svd(cells - cells.mean(0), full_matrices=False)
    rank = min(64, len(deviation) - 2)
    weight = torch.randn(len(head.weight), rank) @ (components[:rank] / deviation[:rank, None])
    weight -= (weight @ mean)[:, None] * mean
    head.weight.copy_((2 * weight / (cells @ weight.T).std())[:, :, None, None])


def make_pair(height: int, width: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two textures, and the same shifted by whole coarse cells, (2, 1, height, width) each."""
    texture = torch.rand(2, 1, height + 16, width + 16, generator=torch.Generator().manual_seed(seed))
    texture = nn.functional.avg_pool2d(texture, 3, 1, 1)
    return texture[..., 16:, 8:-8].contiguous(), texture[..., 8:-8, :-16].contiguous()


def by_cell(matches: PairMatches) -> PairMatches:
    order = matches.cells0.argsort()
    columns = (getattr(matches, name)[order] for name in PairMatches.__dataclass_fields__)
    return PairMatches(*columns)


def in_both(one: PairMatches, other: PairMatches) -> tuple[PairMatches, PairMatches]:
    """Leave out matches that only one has; rounding may decide one in fifty of those of random weights."""
    cells = [list(zip(each.cells0.tolist(), each.cells1.tolist(), strict=True)) for each in (one, other)]
    common = set(cells[0]) & set(cells[1])
    assert len(common) >= 0.98 * max(map(len, cells)) > 0
    kept = [torch.tensor([cell in common for cell in each]) for each in cells]
    return chosen(one, kept[0]), chosen(other, kept[1])


def chosen(matches: PairMatches, kept: torch.Tensor) -> PairMatches:
    return PairMatches(**{field.name: getattr(matches, field.name)[kept] for field in fields(matches)})


def assert_same(one: PairMatches, other: PairMatches, pixels: float = 1e-3) -> None:
    one, other = by_cell(one), by_cell(other)
    assert torch.equal(one.cells0, other.cells0)
    assert torch.equal(one.cells1, other.cells1)
    torch.testing.assert_close(one.confidence, other.confidence, atol=1e-4, rtol=0)
    torch.testing.assert_close(one.points0, other.points0, atol=0, rtol=0)
    torch.testing.assert_close(one.points1, other.points1, atol=pixels, rtol=0)
    torch.testing.assert_close(one.spread, other.spread, atol=pixels, rtol=0)


@pytest.mark.slow
@pytest.mark.skipif(
    tuple(map(int, kornia_version.split(".")[:2])) < (0, 9),
    reason="kornia 0.8, the last for Python 3.10, fails on masks and on sizes that are not multiples of 8",
)
class TestAgainstKornia:
    @pytest.fixture(scope="class", params=["released", "fixed"])
    def networks(self, request: pytest.FixtureRequest) -> tuple[LoFTR, KorniaLoFTR]:
        network = make_network(LoFTRConfig(position=PositionConfig(form=request.param), selection=LOW))
        config = copy.deepcopy(default_cfg)
        config["coarse"]["temp_bug_fix"] = request.param == "fixed"
        config["match_coarse"] |= {"thr": LOW.threshold, "border_rm": 0}
        kornia = KorniaLoFTR(pretrained=None, config=config).eval()
        kornia.load_state_dict(network.state_dict())
        return network, kornia

    @staticmethod
    def compare(network: LoFTR, kornia: KorniaLoFTR, data: dict[str, torch.Tensor], expect: int) -> None:
        masks = [data[key][:, ::8, ::8] if key in data else None for key in ("mask0", "mask1")]
        with torch.no_grad():
            theirs = kornia(data)
        ours = network(data["image0"], data["image1"], *masks)
        assert sum(len(pair.points0) for pair in ours) >= expect
        for b, pair in enumerate(ours):
            pair, of_pair = by_cell(pair), theirs["batch_indexes"] == b
            assert torch.equal(pair.points0.float(), theirs["keypoints0"][of_pair].float())
            torch.testing.assert_close(
                pair.confidence.float(), theirs["confidence"][of_pair].float(), atol=1e-4, rtol=0
            )
            torch.testing.assert_close(pair.points1.float(), theirs["keypoints1"][of_pair].float(), atol=1e-3, rtol=0)

    @pytest.mark.parametrize(("height", "width"), [(120, 160), (96, 136), (101, 135)])
    def test_equal_on_several_sizes(self, networks: tuple[LoFTR, KorniaLoFTR], height: int, width: int) -> None:
        image0, image1 = make_pair(height, width)
        self.compare(*networks, {"image0": image0, "image1": image1}, expect=200)

    def test_equal_for_images_of_two_sizes(self, networks: tuple[LoFTR, KorniaLoFTR]) -> None:
        image0, image1 = make_pair(120, 128)
        self.compare(*networks, {"image0": image0, "image1": image1[..., :104, :112].contiguous()}, expect=100)

    def test_equal_with_masks(self, networks: tuple[LoFTR, KorniaLoFTR]) -> None:
        image0, image1 = make_pair(120, 160)
        mask0, mask1 = torch.ones(2, 120, 160, dtype=torch.bool), torch.ones(2, 120, 160, dtype=torch.bool)
        mask0[0, 80:] = False
        mask1[1, :, 96:] = False
        data = {"image0": image0 * mask0[:, None], "image1": image1 * mask1[:, None], "mask0": mask0, "mask1": mask1}
        self.compare(*networks, data, expect=200)

    def test_equal_when_prepared_for_inference(self, networks: tuple[LoFTR, KorniaLoFTR]) -> None:
        # In double precision, where folding is exact except for rounding.
        network, kornia = (copy.deepcopy(each).double() for each in networks)
        image0, image1 = (image.double() for image in make_pair(96, 128))
        self.compare(prepare_for_inference(network), kornia, {"image0": image0, "image1": image1}, expect=200)

    def test_equal_border(self, networks: tuple[LoFTR, KorniaLoFTR]) -> None:
        network, kornia = networks
        image0, image1 = make_pair(96, 128)
        features = network.encode(image0), network.encode(image1)
        ours = network.match(*features, replace(LOW, border=2))
        kornia.coarse_matching.border_rm = 2
        try:
            with torch.no_grad():
                theirs = kornia({"image0": image0, "image1": image1})
        finally:
            kornia.coarse_matching.border_rm = 0
        assert 50 < len(theirs["confidence"]) == sum(len(pair.confidence) for pair in ours)
        assert torch.equal(torch.cat([by_cell(pair).points0 for pair in ours]), theirs["keypoints0"])


class TestLayout:
    @pytest.mark.parametrize(
        ("name", "keys", "parameters"),
        [
            ("outdoor_ds", 211, 11_561_456),
            ("outdoor_ot", 212, 11_561_457),
            ("indoor_ds", 211, 11_561_456),
            ("indoor_ds_new", 211, 11_561_456),
            ("indoor_ot", 212, 11_561_457),
            ("lite", 211, 1_459_232),
        ],
    )
    def test_keys_and_parameters(self, repository, name: str, keys: int, parameters: int) -> None:  # type: ignore[no-untyped-def]
        network = LoFTR(load_yaml(LoFTRConfig, repository / f"config/models/loftr_{name}.yaml"))
        state = network.state_dict()
        assert len(state) == keys
        assert sum(parameter.numel() for parameter in network.parameters()) == parameters
        kornia = KorniaLoFTR(pretrained=None).state_dict()
        assert set(state) - set(kornia) == ({"coarse_matching.bin_score"} if keys == 212 else set())
        if name != "lite":
            assert all(state[key].shape == tensor.shape for key, tensor in kornia.items())

    @pytest.mark.parametrize(
        ("name", "form", "kind", "border"),
        [
            ("outdoor_ds", "released", "dual_softmax", 2),
            ("outdoor_ot", "released", "optimal_transport", 2),
            ("indoor_ds", "released", "dual_softmax", 0),
            ("indoor_ds_new", "fixed", "dual_softmax", 0),
            ("indoor_ot", "released", "optimal_transport", 2),
        ],
    )
    def test_model_files_have_the_settings_of_the_checkpoints(  # type: ignore[no-untyped-def]
        self, repository, name: str, form: str, kind: str, border: int
    ) -> None:
        config = load_yaml(LoFTRConfig, repository / f"config/models/loftr_{name}.yaml")
        assert (config.position.form, config.matching.kind, config.selection.border) == (form, kind, border)
        published = LoFTRConfig()
        assert (config.backbone, config.coarse, config.fine) == (published.backbone, published.coarse, published.fine)
        assert config.selection.threshold == 0.2

    def test_dustbin_score_is_a_scalar(self) -> None:
        network = LoFTR(replace(SMALL, matching=MatchingConfig(kind="optimal_transport")))
        assert network.state_dict()["coarse_matching.bin_score"].shape == ()


@pytest.fixture(scope="module", params=["dual_softmax", "optimal_transport"])
def network(request: pytest.FixtureRequest) -> LoFTR:
    return make_network(replace(SMALL, matching=MatchingConfig(kind=request.param)))


class TestMatching:
    def test_batch_equals_singles(self, network: LoFTR) -> None:
        image0, image1 = make_pair(96, 128)
        batch = network.match(network.encode(image0), network.encode(image1), LOW)
        for b, pair in enumerate(batch):
            one = slice(b, b + 1)
            (single,) = network.match(network.encode(image0[one]), network.encode(image1[one]), LOW)
            assert len(single.points0) > 30
            assert_same(pair, single)

    def test_swapped_batch_gives_swapped_results(self, network: LoFTR) -> None:
        image0, image1 = make_pair(96, 128)
        first, second = network.match(network.encode(image0), network.encode(image1), LOW)
        swapped = network.match(network.encode(image0.flip(0)), network.encode(image1.flip(0)), LOW)
        assert_same(swapped[0], second)
        assert_same(swapped[1], first)

    def test_kept_features_equal_fresh_ones(self, network: LoFTR) -> None:
        image0, image1 = make_pair(96, 128)
        keyframe = network.encode(image0)
        before = keyframe.coarse.clone(), keyframe.fine.clone()
        network.match(keyframe, network.encode(image1.flip(-1)), LOW)
        assert torch.equal(before[0], keyframe.coarse)
        assert torch.equal(before[1], keyframe.fine)
        again = network.match(keyframe, network.encode(image1), LOW)
        fresh = network.match(network.encode(image0), network.encode(image1), LOW)
        for one, other in zip(again, fresh, strict=True):
            assert_same(one, other, pixels=0)

    def test_prepared_for_inference_is_equal_and_does_not_change_the_original(self, network: LoFTR) -> None:
        network = copy.deepcopy(
            network
        ).double()  # in single precision, rounding decides some matches of random weights
        image0, image1 = (image.double() for image in make_pair(96, 128))
        state = {key: tensor.clone() for key, tensor in network.state_dict().items()}
        fast = prepare_for_inference(network)
        assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
        plain = network.match(network.encode(image0), network.encode(image1), LOW)
        for one, other in zip(fast.match(fast.encode(image0), fast.encode(image1), LOW), plain, strict=True):
            assert_same(*in_both(one, other), pixels=5e-3)
        assert all(torch.equal(tensor, state[key]) for key, tensor in network.state_dict().items())

    def test_masked_padding_is_never_matched(self, network: LoFTR) -> None:
        image0, image1 = make_pair(96, 128)
        padded, mask = torch.zeros(2, 1, 120, 168), torch.zeros(2, 15, 21, dtype=torch.bool)
        padded[..., :96, :128], mask[:, :12, :16] = image0, True
        features = network.encode(padded, mask)
        assert torch.equal(features[1:].mask, mask[1:])
        matches = network.match(features, network.encode(image1), LOW)
        for pair in matches:
            assert len(pair.points0)
            assert pair.points0[:, 0].max() < 128
            assert pair.points0[:, 1].max() < 96

    def test_mask_of_another_size_is_refused(self, network: LoFTR) -> None:
        with pytest.raises(ValueError, match="mask"):
            network.encode(torch.zeros(1, 1, 64, 64), torch.ones(1, 64, 64, dtype=torch.bool))

    @pytest.mark.parametrize("kind", ["dual_softmax", "optimal_transport"])
    def test_blank_images_give_an_empty_result_with_all_fields(self, kind: str) -> None:
        torch.manual_seed(0)
        network = LoFTR(LoFTRConfig(matching=MatchingConfig(kind=kind))).eval()  # type: ignore[arg-type]
        blank = torch.full((2, 1, 96, 128), 0.5)
        for pair in network(blank, blank):
            assert pair.points0.shape == pair.points1.shape == (0, 2)
            assert pair.confidence.shape == pair.spread.shape == pair.cells0.shape == pair.cells1.shape == (0,)
            assert pair.points1.dtype == pair.confidence.dtype == torch.float32
            assert pair.cells1.dtype == torch.int64

    def test_matches_are_ordered_and_limited_by_confidence(self, network: LoFTR) -> None:
        features = [network.encode(images) for images in make_pair(96, 128)]
        everything = network.match(*features, LOW)
        for pair, limited in zip(everything, network.match(*features, replace(LOW, max_matches=20)), strict=True):
            assert (pair.confidence.diff() <= 0).all()
            assert len(limited.points0) == 20
            assert torch.equal(limited.cells0, pair.cells0[:20])
            torch.testing.assert_close(limited.points1, pair.points1[:20], atol=1e-3, rtol=0)

    def test_odd_sizes(self, network: LoFTR) -> None:
        image0, image1 = make_pair(93, 131)
        for pair in network.match(network.encode(image0), network.encode(image1[..., 3:, :77]), LOW):
            assert len(pair.points0)
            assert (pair.points0[:, 0] < 131).all()
            assert (pair.points0[:, 1] < 93).all()

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half_precision_finds_the_same_matches(self, network: LoFTR, dtype: torch.dtype) -> None:
        image0, image1 = make_pair(96, 128)
        (full,) = network.match(network.encode(image0[:1]), network.encode(image1[:1]), LOW)
        half = copy.deepcopy(network).to(dtype)
        with torch.no_grad():
            features = half.encode(image0[:1].to(dtype)), half.encode(image1[:1].to(dtype))
        (pair,) = half.match(*features, LOW)
        assert pair.points1.dtype == pair.confidence.dtype == torch.float32
        expected = set(zip(full.cells0.tolist(), full.cells1.tolist(), strict=True))
        found = set(zip(pair.cells0.tolist(), pair.cells1.tolist(), strict=True))
        assert len(found & expected) > 0.7 * len(expected)


class TestTraining:
    def test_dense_log_confidence_equals_that_of_the_matches(self, network: LoFTR) -> None:
        features = [network.encode(images) for images in make_pair(96, 128)]
        coarse = network.transform(*features)
        dense = network.coarse_matching.log_confidence(*coarse).exp()
        for b, pair in enumerate(network.match(*features, LOW)):
            torch.testing.assert_close(dense[b, pair.cells0, pair.cells1], pair.confidence, atol=1e-5, rtol=0)

    def test_every_parameter_has_a_gradient(self, network: LoFTR) -> None:
        network = copy.deepcopy(network).train()
        image0, image1 = make_pair(64, 80)
        features = network.encode(torch.cat([image0, image1]))
        coarse0, coarse1 = network.transform(features[:2], features[2:])
        b, i, j = torch.tensor([[0, 12, 3], [1, 40, 41], [1, 0, 79]]).T
        confidence = network.coarse_matching.log_confidence(coarse0, coarse1)
        refined = network.refine(features[:2], features[2:], coarse0, coarse1, b, i, j)
        (confidence[b, i, j].sum() + refined.offset.square().sum() + refined.spread.sum()).backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().max() > 0, name

    def test_refining_given_cells_gives_the_matches(self, network: LoFTR) -> None:
        features = [network.encode(images) for images in make_pair(96, 128)]
        coarse = network.transform(*features)
        _, pair = network.match(*features, LOW)
        b = torch.ones_like(pair.cells0)
        refined = network.refine(*features, *coarse, b, pair.cells0, pair.cells1)
        cell = torch.stack([pair.cells1 % 16, pair.cells1 // 16], 1) * 8
        torch.testing.assert_close(cell + refined.offset, pair.points1, atol=1e-4, rtol=0)
        torch.testing.assert_close(refined.spread, pair.spread, atol=1e-4, rtol=0)
        assert refined.offset.abs().max() <= 4

    def test_the_mean_around_the_peak_is_used_at_inference_only(self, network: LoFTR) -> None:
        around_peak = copy.deepcopy(network)
        around_peak.config = replace(network.config, fine=replace(network.config.fine, mean_over="peak"))
        features = [network.encode(images) for images in make_pair(96, 128)]
        coarse = network.transform(*features)
        cells = torch.zeros(20, dtype=torch.int64), torch.arange(20), torch.arange(20)
        plain, peak, training = (
            each.refine(*features, *coarse, *cells)
            for each in (network, around_peak, copy.deepcopy(around_peak).train())
        )
        assert torch.equal(plain.spread, peak.spread)
        assert torch.equal(peak.offset, 2 * peak_offset(plain.log_heatmap))
        assert not torch.equal(plain.offset, peak.offset)
        assert torch.equal(plain.offset, training.offset)

    def test_bf16_autocast_keeps_the_sums_in_float32(self, network: LoFTR) -> None:
        image0, image1 = make_pair(64, 80)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features = network.encode(torch.cat([image0, image1]))
            coarse = network.transform(features[:2], features[2:])
            confidence = network.coarse_matching.log_confidence(*coarse)
            refined = network.refine(features[:2], features[2:], *coarse, *torch.zeros(3, 1, dtype=torch.int64))
        assert confidence.dtype == refined.offset.dtype == torch.float32
        assert confidence.exp().sum(-1).max() < 1.01


class TestAblations:
    """The variants of the paper's table 5 are configurations of the network."""

    @staticmethod
    def run(config: LoFTRConfig) -> tuple[LoFTR, tuple[int, ...], tuple[int, ...]]:
        network = make_network(config)
        image0, image1 = make_pair(96, 128)
        features = network.encode(image0), network.encode(image1)
        matches = network.match(*features, replace(LOW, threshold=1e-4))
        stride = config.backbone.coarse_stride
        for pair in matches:
            assert torch.isfinite(pair.points1).all()
            assert (pair.points0 % stride == 0).all()
        assert sum(len(pair.points0) for pair in matches)
        return network, tuple(features[0].coarse.shape), tuple(features[0].fine.shape)

    def test_maps_at_a_sixteenth_and_a_quarter(self) -> None:
        backbone = BackboneConfig(widths=(16, 24, 32, 40), fine_level=2)
        network, coarse, fine = self.run(replace(SMALL, backbone=backbone))
        assert coarse == (2, 6, 8, 40)
        assert fine == (2, 24, 32, 24)
        assert not hasattr(network.backbone, "layer1_outconv")

    def test_twice_the_layers(self) -> None:
        config = replace(
            SMALL,
            coarse=TransformerConfig(heads=4, layers=("self", "cross") * 8),
            fine=FineConfig(transformer=TransformerConfig(heads=2, layers=("self", "cross") * 2)),
        )
        network, coarse, fine = self.run(config)
        assert (coarse, fine) == ((2, 12, 16, 32), (2, 48, 64, 16))
        assert len(network.loftr_coarse.layers) == 16
        assert len(network.loftr_fine.layers) == 4

    def test_encoding_in_every_layer(self) -> None:
        config = replace(SMALL, position=PositionConfig(where="every_layer"))
        _, coarse, fine = self.run(config)
        assert (coarse, fine) == ((2, 12, 16, 32), (2, 48, 64, 16))
        once, every = make_network(SMALL), make_network(config)
        images, _ = make_pair(64, 80)
        assert not torch.allclose(once.encode(images).coarse, every.encode(images).coarse)

    def test_convolutions_in_place_of_attention(self) -> None:
        config = LoFTRConfig(
            coarse=TransformerConfig(mixing="convolution"),
            fine=FineConfig(transformer=TransformerConfig(layers=("self", "cross"), mixing="convolution")),
        )
        _, coarse, fine = self.run(replace(config, backbone=SMALL.backbone))
        assert (coarse, fine) == ((2, 12, 16, 32), (2, 48, 64, 16))
        count = sum(parameter.numel() for parameter in LoFTR(config).loftr_coarse.parameters())
        attention = sum(parameter.numel() for parameter in LoFTR(LoFTRConfig()).loftr_coarse.parameters())
        assert 0.85 < count / attention < 1.15


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (lambda: LoFTRConfig(coarse=TransformerConfig(heads=7)), "7 heads"),
        (lambda: BackboneConfig(fine_level=3), "fine_level"),
        (lambda: FineConfig(window=4), "window"),
        (lambda: SelectionConfig(threshold=0), "threshold"),
        (lambda: SelectionConfig(border=-1), "border"),
        (lambda: MatchingConfig(temperature=0), "temperature"),
        (lambda: LoFTRConfig(backbone=BackboneConfig(widths=(8, 8, 18)), coarse=TransformerConfig(heads=2)), "of 4"),
    ],
)
def test_impossible_configurations_are_refused(build, problem: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=problem):
        build()
