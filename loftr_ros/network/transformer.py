"""The local feature transformer: self- and cross-attention layers over two feature maps (section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn

from loftr_ros.network.attention import linear_attention
from loftr_ros.network.config import TransformerConfig
from loftr_ros.network.projection import project


@dataclass(frozen=True)
class Tokens:
    """The cells of a feature map.

    features: (B, h, w, C). mask: (B, h, w) bool, False for padding, or None. position: (h, w, C), position encoding for
    the queries and keys of every layer, or None.
    """

    features: torch.Tensor
    mask: torch.Tensor | None = None
    position: torch.Tensor | None = None

    @property
    def with_position(self) -> torch.Tensor:
        """Features with the position encoding, if any, added: (B, h, w, C)."""
        return self.features if self.position is None else self.features + self.position

    def updated(self, features: torch.Tensor) -> Tokens:
        """Return these tokens with other features."""
        return replace(self, features=features)


class AttentionLayer(nn.Module):
    """One encoder layer: x + norm2(mlp([x, norm1(merge(attention))]))."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width, bias=False)
        self.merge = nn.Linear(width, width, bias=False)
        self.mlp = nn.Sequential(
            nn.Linear(2 * width, 2 * width, bias=False), nn.ReLU(inplace=True), nn.Linear(2 * width, width, bias=False)
        )
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, x: Tokens, source: Tokens) -> torch.Tensor:
        """Attend from each token of `x` to all tokens of `source` -> new features of `x`, (B, h, w, C)."""
        split = (x.features.shape[0], -1, self.heads, x.features.shape[-1] // self.heads)
        message = linear_attention(
            project(x.with_position, self.q_proj.weight).reshape(split),
            project(source.with_position, self.k_proj.weight).reshape(split),
            project(source.features, self.v_proj.weight).reshape(split),
            None if x.mask is None else x.mask.flatten(1),
            None if source.mask is None else source.mask.flatten(1),
        )
        message = self.norm1(project(message.reshape(x.features.shape), self.merge.weight))
        hidden = project(torch.cat([x.features, message], dim=-1), self.mlp.get_parameter("0.weight"))
        return x.features + self.norm2(project(self.mlp[1](hidden), self.mlp.get_parameter("2.weight")))


class ConvolutionLayer(nn.Module):
    """Ablation: residual 3x3 convolution in place of attention, with about as many parameters; ignores `source`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.LayerNorm(width)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tokens, source: Tokens) -> torch.Tensor:
        """Convolve `x` -> new features of `x`, (B, h, w, C)."""
        visible = x.features if x.mask is None else x.features * x.mask[..., None]
        message = self.conv(visible.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return x.features + nn.functional.relu(self.norm(message))


class FeatureTransformer(nn.Module):
    """A sequence of layers; the self layers before the first cross layer depend on one image only (see `alone`)."""

    def __init__(self, config: TransformerConfig, width: int) -> None:
        super().__init__()
        self.kinds = config.layers
        self.alone_count = config.layers.index("cross") if "cross" in config.layers else len(config.layers)
        self.layers = nn.ModuleList(
            AttentionLayer(width, config.heads) if config.mixing == "linear_attention" else ConvolutionLayer(width)
            for _ in config.layers
        )

    def alone(self, x: Tokens) -> Tokens:
        """Run the self layers before the first cross layer; the result can be kept with the image."""
        for layer in self.layers[: self.alone_count]:
            x = x.updated(layer(x, x))
        return x

    def together(self, x0: Tokens, x1: Tokens) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the remaining layers, from the first cross layer on -> features of both images, (B, h, w, C) each.

        A cross layer is sequential: image 1 attends to the updated features of image 0.
        """
        for layer, kind in zip(self.layers[self.alone_count :], self.kinds[self.alone_count :], strict=True):
            if kind == "cross":
                x0 = x0.updated(layer(x0, x1))
                x1 = x1.updated(layer(x1, x0))
            else:
                x0 = x0.updated(layer(x0, x0))
                x1 = x1.updated(layer(x1, x1))
        return x0.features, x1.features
