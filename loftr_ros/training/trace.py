"""Records the inputs of the coarse transformer's layers; attention weights and feature colours from them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from loftr_ros.network.loftr import LoFTR
from loftr_ros.network.transformer import AttentionLayer, Tokens
from perception_common.errors import InputError


@dataclass(frozen=True)
class LayerInput:
    """Input of a layer of the coarse transformer when it updates the tokens `x` of one image from `source`."""

    name: str
    is_cross: bool
    layer: AttentionLayer
    x: Tokens
    source: Tokens


@dataclass(frozen=True)
class Trace:
    """A pair in the coarse transformer.

    layers0: inputs of all layers for image 0, in order. before, after: coarse features (h, w, C) of image 0 and image 1
    before and after the transformer. points0: (N, 2) matched pixels of image 0, the most confident first.
    """

    layers0: tuple[LayerInput, ...]
    before: tuple[torch.Tensor, torch.Tensor]
    after: tuple[torch.Tensor, torch.Tensor]
    points0: np.ndarray


@torch.no_grad()
def trace_pair(network: LoFTR, image0: np.ndarray, image1: np.ndarray) -> Trace:
    """Match two gray images (H, W) uint8 and record the inputs of the layers.

    Raises InputError for a network without attention.
    """
    if network.config.coarse.mixing != "linear_attention":
        raise InputError("this network has convolutions in place of attention; there is nothing to draw")
    with _recorded(network) as calls:
        features0, features1 = (
            network.encode(torch.from_numpy(image)[None, None].float() / 255) for image in (image0, image1)
        )
        coarse0, coarse1 = network.transform(features0, features1)
    matches = network.match(features0, features1)[0]
    layers = list(network.loftr_coarse.layers)
    # Every layer is called for image 0 first, then for image 1.
    first = {layer: next(call for call in calls if call.layer is layer) for layer in layers}
    second = [call for call in calls if call.layer is layers[0]][1]
    return Trace(
        layers0=tuple(first[layer] for layer in layers),
        before=(first[layers[0]].x.features[0], second.x.features[0]),
        after=(coarse0[0], coarse1[0]),
        points0=matches.points0.numpy(),
    )


@contextmanager
def _recorded(network: LoFTR) -> Iterator[list[LayerInput]]:
    calls: list[LayerInput] = []
    hooks = []
    for number, (layer, kind) in enumerate(zip(network.loftr_coarse.layers, network.config.coarse.layers, strict=True)):

        def record(module: torch.nn.Module, inputs: tuple[Tokens, Tokens], name: str = f"{kind} {number + 1}") -> None:
            assert isinstance(module, AttentionLayer)
            x, source = inputs
            calls.append(LayerInput(name, name.startswith("cross"), module, x, source))

        hooks.append(layer.register_forward_pre_hook(record))
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def attention_map(call: LayerInput, cell: tuple[int, int]) -> np.ndarray:
    """Attention weights of the cell (x, y) over all cells of the source, mean over heads: (h, w) float32, sum 1.

    Linear attention does not compute them explicitly; they are phi(q) . phi(k) over its sum, phi = elu + 1 (section
    3.2).
    """
    x, y = cell
    height, width = call.source.features.shape[1:3]
    query = call.x.with_position[0, y, x]
    heads = call.layer.heads
    q = torch.nn.functional.elu(call.layer.q_proj(query).reshape(heads, -1)) + 1
    k = torch.nn.functional.elu(call.layer.k_proj(call.source.with_position[0].flatten(0, 1))) + 1
    weights = torch.einsum("hd,shd->hs", q, k.reshape(len(k), heads, -1))
    return (weights / weights.sum(1, keepdim=True)).mean(0).reshape(height, width).numpy()


def feature_colors(features: tuple[torch.Tensor, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Map the features (h, w, C) of both images to colours (h, w, 3) uint8: their first three principal components."""
    cells = torch.cat([part.flatten(0, 1) for part in features])
    cells = cells - cells.mean(0)
    _, _, directions = torch.linalg.svd(cells, full_matrices=False)
    components = cells @ directions[:3].T
    low, high = components.quantile(0.02, dim=0), components.quantile(0.98, dim=0)  # without outliers
    colors = ((components - low) / (high - low).clamp(min=1e-6)).clamp(0, 1).mul(255).byte().numpy()
    count = features[0].shape[0] * features[0].shape[1]
    return colors[:count].reshape(*features[0].shape[:2], 3), colors[count:].reshape(*features[1].shape[:2], 3)
