"""The YOLC network: backbone, HRFPN and the two-branch head (arXiv 2404.06180, figure 2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from perception_common.backends.runtime import Runtime
from yolc_ros.network.backbones.hourglass import StackedHourglass
from yolc_ros.network.backbones.hrnet import Hrnet
from yolc_ros.network.backbones.initialisation import initialise_backbone
from yolc_ros.network.backbones.resnet import ResNet
from yolc_ros.network.config import INPUT_MULTIPLE, BackboneConfig, HourglassConfig, ResNetConfig, YolcConfig
from yolc_ros.network.head import YolcHead, initialise_head
from yolc_ros.network.hrfpn import Hrfpn, initialise_neck


@dataclass(frozen=True)
class YolcOutput:
    """Dense prediction of every cell, for training.

    heatmap: (B, classes, H / s, W / s) logits at heatmap stride s; their sigmoid is the probability of an object.
    coarse, refined: (B, 4, H / 4, W / 4) float32 boxes (dx, dy, half width, half height) in cells of 4 input pixels,
    the centre relative to the cell's grid point: centre in input pixels = 4 * (grid point + d). `refined` is None
    without `YolcConfig.refinement`.
    """

    heatmap: Tensor
    coarse: Tensor
    refined: Tensor | None


@dataclass(frozen=True)
class YolcMaps:
    """Maps for detection: heatmap logits as in `YolcOutput`, and the features from which `boxes_at` predicts boxes."""

    heatmap: Tensor
    box_features: Tensor  # (B, box_width, H / 4, W / 4)


class Yolc(nn.Module):
    """Predicts a heatmap and boxes from RGB images in grey levels 0 to 255 whose sides are multiples of 32.

    runtime: computes the part `dense_maps`, see parts.py; None: torch does.
    """

    runtime: Runtime | None = None
    mean: Tensor
    std: Tensor

    def __init__(self, config: YolcConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = build_backbone(config.backbone)
        self.neck = Hrfpn(self.backbone.channels, config.neck_width)
        self.bbox_head = YolcHead(config)
        self.register_buffer("mean", torch.tensor(config.mean).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).reshape(1, 3, 1, 1), persistent=False)

    def features(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 or float, 0 to 255 -> (B, neck_width, H / 4, W / 4). ValueError for other shapes."""
        if images.ndim != 4 or images.shape[1] != 3 or any(side % INPUT_MULTIPLE for side in images.shape[2:]):
            raise ValueError(f"expected (B, 3, H, W) with H and W multiples of {INPUT_MULTIPLE}, got {images.shape}")
        normalised = (images.float() - self.mean) / self.std
        return self.neck(self.backbone(normalised.to(self.neck.reduction_conv.conv.weight.dtype)))

    def forward(self, images: Tensor) -> YolcOutput:
        """Dense prediction for training; `images` as in `features`."""
        features = self.features(images)
        coarse, refined = self.bbox_head.boxes(self.bbox_head.box_features(features))
        return YolcOutput(self.bbox_head.heatmap(features), coarse, refined)

    def maps(self, images: Tensor) -> YolcMaps:
        """Predict the maps that detection reads; `images` as in `features`."""
        if self.runtime is not None:
            heatmap, box_features = self.runtime.run("maps", images)
            return YolcMaps(heatmap, box_features)
        return YolcMaps(*self.dense_maps(images))

    def dense_maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the fields of `YolcMaps`; `images` as in `features`."""
        features = self.features(images)
        return self.bbox_head.heatmap(features), self.bbox_head.box_features(features)

    def boxes_at(self, box_features: Tensor, cells: Tensor) -> Tensor:
        """Predict boxes (N, 4) at cells (N, 2) int64 (x, y) of one image's box features, see `YolcHead.boxes_at`."""
        return self.bbox_head.boxes_at(box_features, cells)


def build_backbone(config: BackboneConfig) -> Hrnet | ResNet | StackedHourglass:
    """Build a backbone: images -> a tuple of maps, the finest one (stride 4) first."""
    if isinstance(config, ResNetConfig):
        return ResNet(config)
    if isinstance(config, HourglassConfig):
        return StackedHourglass(config)
    return Hrnet(config)


def initialise(network: Yolc, seed: int = 0) -> None:
    """Set reproducible random weights of an untrained network.

    See `initialise_backbone`, `initialise_neck` and `initialise_head`. The heatmap starts at a probability of 1 %, the
    prior of the focal loss.
    """
    generator = torch.Generator().manual_seed(seed)
    initialise_backbone(network.backbone, generator)
    initialise_neck(network.neck, generator)
    initialise_head(network.bbox_head, generator=generator)
