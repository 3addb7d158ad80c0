"""The head of YOLC: a heatmap branch for the positions of objects and a box branch for their sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from yolc_ros.network.config import YolcConfig
from yolc_ros.network.deformable import TAPS, DeformableConv


class YolcHead(nn.Module):
    """Heatmap branch and box branch on one map at stride 4 (paper sections III-C and III-D)."""

    def __init__(self, config: YolcConfig) -> None:
        super().__init__()
        self.config = config
        width, box = config.neck_width, config.box_width
        self.local_head = heatmap_branch(config)
        self.reg_conv = nn.Sequential(
            nn.Conv2d(width, box, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(box, box, 3, padding=1)
        )
        self.xywh_init = nn.Conv2d(box, 4, 1)
        if config.refinement:
            self.bbox_offset = nn.Conv2d(box, 2 * TAPS, 1)
            self.xywh_refine = DeformableConv(box, 4)

    def heatmap(self, features: Tensor) -> Tensor:
        """(B, neck_width, h, w) -> logits (B, classes, H, W) at `config.heatmap_stride`."""
        return self.local_head(features)

    def box_features(self, features: Tensor) -> Tensor:
        """(B, neck_width, h, w) -> (B, box_width, h, w)."""
        return self.reg_conv(features)

    def boxes(self, box_features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Predict coarse and refined boxes of every cell.

        box_features: (B, box_width, h, w). -> two (B, 4, h, w) float32: (dx, dy, half width, half height) in cells, the
        centre relative to the cell's grid point; the second one is None without refinement.
        """
        coarse = self.xywh_init(box_features).float()
        if not self.config.refinement:
            return coarse, None
        batch, _, h, w = coarse.shape
        shares = self.bbox_offset(box_features).float().sigmoid().reshape(batch, TAPS, 2, h, w).permute(0, 1, 3, 4, 2)
        inside = points_inside(coarse.detach().permute(0, 2, 3, 1)[:, None], shares, self.config.axis_order)
        ys, xs = torch.meshgrid(
            torch.arange(h, device=coarse.device, dtype=inside.dtype),
            torch.arange(w, device=coarse.device, dtype=inside.dtype),
            indexing="ij",
        )
        return coarse, self.xywh_refine(box_features, inside + torch.stack([xs, ys], dim=-1))

    def boxes_at(self, box_features: Tensor, cells: Tensor) -> Tensor:
        """Predict the final boxes (refined, if the configuration has refinement) of some cells of one image.

        box_features: (box_width, h, w). cells: (N, 2) int64 (x, y). -> (N, 4) float32, equal to the result of `boxes`.
        """
        at_cells = box_features[:, cells[:, 1], cells[:, 0]].T  # (N, box_width)
        coarse = _pointwise(self.xywh_init, at_cells)
        if not self.config.refinement:
            return coarse
        shares = _pointwise(self.bbox_offset, at_cells).sigmoid().reshape(-1, TAPS, 2)
        points = points_inside(coarse[:, None], shares, self.config.axis_order) + cells[:, None]
        return self.xywh_refine.at(box_features, points)


class HeatmapBranch(nn.Sequential):
    """Upsamples the map at stride 4 to logits at the input's resolution: several channels per class, then one.

    The last layer is a grouped 1x1 convolution, one group per class. No non-linearity separates it from the transposed
    convolution before it, so `forward` folds the two. The result is the same, in training too, and a map at full
    resolution never has more than one channel per class.
    """

    def __init__(self, width: int, hidden: int, classes: int) -> None:
        super().__init__(
            nn.Conv2d(width, width, 1),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(width, hidden, 4, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(hidden, hidden, 4, stride=2, padding=1),
            nn.Conv2d(hidden, classes, 1, groups=classes),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, h, w) -> (B, classes, 4 h, 4 w)."""
        *layers, upsample, grouped = self.children()
        for layer in layers:
            features = layer(features)
        weight, bias = fold_grouped_conv(upsample, grouped)
        return functional.conv_transpose2d(features, weight, bias, stride=2, padding=1)


def fold_grouped_conv(upsample: nn.Module, grouped: nn.Module) -> tuple[Tensor, Tensor]:
    """Fold a grouped 1x1 into a transposed convolution -> weight (inputs, classes, 4, 4), bias (classes,)."""
    assert isinstance(upsample, nn.ConvTranspose2d)
    assert isinstance(grouped, nn.Conv2d)
    assert upsample.bias is not None
    assert grouped.bias is not None
    classes, group = grouped.weight.shape[:2]
    mixing = grouped.weight.reshape(classes, group)
    kernel = upsample.weight.reshape(upsample.in_channels, classes, group, *upsample.kernel_size)
    weight = torch.einsum("icgyx,cg->icyx", kernel, mixing)
    return weight, (upsample.bias.reshape(classes, group) * mixing).sum(1) + grouped.bias


def heatmap_branch(config: YolcConfig) -> nn.Sequential:
    """Build the configured heatmap branch; its last layer is the convolution that gives the logits."""
    width, classes = config.neck_width, len(config.class_names)
    if config.decoupled_heatmap:
        return HeatmapBranch(width, config.heatmap_width * classes, classes)
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(width, classes, 1))


def points_inside(coarse: Tensor, shares: Tensor, axis_order: str) -> Tensor:
    """Sampling points of the refinement, relative to the grid point: top left + size * share.

    coarse: (..., 4) boxes in cells. shares: (..., 2) fractions of width and height, 0 to 1. -> (..., 2) cells (x, y).
    """
    centre, half = coarse[..., :2], coarse[..., 2:]
    points = centre - half + 2 * half * shares
    return points.flip(-1) if axis_order == "release_yx" else points


def _pointwise(conv: nn.Conv2d, vectors: Tensor) -> Tensor:
    """Apply a 1x1 convolution to single feature vectors: (N, inputs) -> (N, outputs) float32."""
    return functional.linear(vectors.to(conv.weight.dtype), conv.weight.flatten(1), conv.bias).float()


@dataclass(frozen=True)
class HeadPrior:
    """Predictions of an untrained head."""

    foreground: float = 0.01  # probability of an object at a heatmap pixel (focal loss paper, section 4.1)
    half_size: float = 2.0  # half the side of a box, in cells


def initialise_head(head: YolcHead, prior: HeadPrior = HeadPrior(), generator: torch.Generator | None = None) -> None:
    """Initialise hidden layers by He (fan-in), output layers near zero, with biases that predict the prior."""
    for module in head.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            taps = math.prod(module.kernel_size)
            if isinstance(module, nn.ConvTranspose2d):
                taps //= math.prod(module.stride)  # each output pixel uses one tap in stride x stride
            inputs = module.in_channels // module.groups * taps
            nn.init.normal_(module.weight, std=math.sqrt(2 / inputs), generator=generator)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    logits = head.local_head[-1]
    assert isinstance(logits, nn.Conv2d)
    outputs = [logits.weight, head.xywh_init.weight]
    if head.config.refinement:
        outputs += [head.bbox_offset.weight, head.xywh_refine.weight]
    for weight in outputs:
        nn.init.normal_(weight, std=0.001, generator=generator)
    nn.init.constant_(logits.bias, -math.log((1 - prior.foreground) / prior.foreground))  # type: ignore[arg-type]
    with torch.no_grad():
        head.xywh_init.bias[2:] = prior.half_size  # type: ignore[index]
