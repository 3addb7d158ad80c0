"""The layers of the transformer: formula, masks, and order of the images."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from loftr_ros.network.config import TransformerConfig
from loftr_ros.network.transformer import AttentionLayer, ConvolutionLayer, FeatureTransformer, Tokens

WIDTH = 16


def random_tokens(batch: int, height: int, width: int, seed: int = 0) -> Tokens:
    return Tokens(torch.randn(batch, height, width, WIDTH, generator=torch.Generator().manual_seed(seed)))


@pytest.fixture
def layer() -> AttentionLayer:
    torch.manual_seed(0)
    return AttentionLayer(WIDTH, 4)


def test_a_layer_equals_the_formula_of_the_paper(layer: AttentionLayer) -> None:
    x, source = random_tokens(1, 3, 4), random_tokens(1, 5, 2, seed=1)
    a, b = x.features.reshape(12, WIDTH), source.features.reshape(10, WIDTH)
    heads = []
    for channels in range(0, WIDTH, 4):
        block = slice(channels, channels + 4)
        q = nn.functional.elu(layer.q_proj(a)[:, block]) + 1
        k = nn.functional.elu(layer.k_proj(b)[:, block]) + 1
        weights = q @ k.T
        heads.append(weights / weights.sum(1, keepdim=True) @ layer.v_proj(b)[:, block])
    message = layer.norm1(layer.merge(torch.cat(heads, 1)))
    expected = a + layer.norm2(layer.mlp(torch.cat([a, message], 1)))
    torch.testing.assert_close(layer(x, source).reshape(12, WIDTH), expected, atol=1e-5, rtol=1e-5)
    with torch.no_grad():  # the code path of inference
        torch.testing.assert_close(layer(x, source).reshape(12, WIDTH), expected, atol=1e-5, rtol=1e-5)


def test_positions_are_added_to_queries_and_keys_but_not_values(layer: AttentionLayer) -> None:
    x = random_tokens(1, 3, 4)
    moved = Tokens(x.features, position=torch.randn(3, 4, WIDTH))
    assert not torch.allclose(layer(x, x), layer(moved, moved))
    single = Tokens(x.features[:, :1, :1])  # a single source token has weight 1 at any position
    turned = Tokens(single.features, position=torch.randn(1, 1, WIDTH))
    torch.testing.assert_close(layer(x, single), layer(x, turned), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("mixing", ["linear_attention", "convolution"])
def test_masked_cells_do_not_change_other_cells(mixing: str) -> None:
    torch.manual_seed(0)
    layer = AttentionLayer(WIDTH, 4) if mixing == "linear_attention" else ConvolutionLayer(WIDTH)
    x = random_tokens(2, 4, 6)
    mask = torch.ones(2, 4, 6, dtype=torch.bool)
    mask[:, 3:] = mask[:, :, 5:] = False
    polluted = torch.where(mask[..., None], x.features, 1e3)
    one, other = Tokens(x.features, mask), Tokens(polluted, mask)
    torch.testing.assert_close(layer(one, one)[mask], layer(other, other)[mask])


def test_cross_layers_are_sequential() -> None:
    torch.manual_seed(0)
    transformer = FeatureTransformer(TransformerConfig(heads=4, layers=("self", "cross", "self")), WIDTH)
    first, cross, last = transformer.layers
    x0, x1 = random_tokens(1, 3, 4), random_tokens(1, 5, 2, seed=1)
    y0, y1 = Tokens(first(x0, x0)), Tokens(first(x1, x1))
    y0 = Tokens(cross(y0, y1))
    y1 = Tokens(cross(y1, y0))  # image 1 attends to the updated image 0
    found0, found1 = transformer.together(transformer.alone(x0), transformer.alone(x1))
    torch.testing.assert_close(found0, last(y0, y0))
    torch.testing.assert_close(found1, last(y1, y1))


@pytest.mark.parametrize(
    ("layers", "alone"),
    [(("self", "cross", "self"), 1), (("cross", "self"), 0), (("self", "self", "cross"), 2), (("self",), 1)],
)
def test_layers_before_the_first_cross_layer_depend_on_one_image(layers: tuple[str, ...], alone: int) -> None:
    config = TransformerConfig(heads=4, layers=layers)  # type: ignore[arg-type]
    assert FeatureTransformer(config, WIDTH).alone_count == alone


def test_convolution_depends_on_neighbours_only() -> None:
    torch.manual_seed(0)
    layer = ConvolutionLayer(WIDTH)
    x = random_tokens(1, 5, 7)
    changed = Tokens(x.features.clone())
    changed.features[0, 2, 3] += 1
    difference = (layer(changed, x) - layer(x, x)).abs().amax(-1)[0]
    assert (difference > 0).nonzero().tolist() == [[y, c] for y in (1, 2, 3) for c in (2, 3, 4)]
