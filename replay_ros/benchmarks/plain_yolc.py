"""YOLC computed in the order of the authors' release: the peer of the benchmark, with the same weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from yolc_ros.decoding import BLUR_TAPS
from yolc_ros.network.config import BOX_STRIDE
from yolc_ros.network.head import YolcHead
from yolc_ros.network.hrfpn import Hrfpn
from yolc_ros.network.yolc import Yolc

PEAKS = 1000  # at most per image


@dataclass(frozen=True)
class PlainDetections:
    """The peaks of an image in descending order of score, and their boxes."""

    heatmap: Tensor  # (C, H, W) blurred probabilities
    scores: Tensor  # (N,)
    labels: Tensor  # (N,)
    positions: Tensor  # (N, 2) (x, y), heatmap pixels
    boxes: Tensor  # (N, 4) xyxy, input pixels


def detect(network: Yolc, images: Tensor, threshold: float) -> PlainDetections:
    """Detect in one image (1, 3, H, W) uint8. network: in evaluation mode, batch norm not folded."""
    head = network.bbox_head
    maps = network.backbone((images.float() - network.mean) / network.std)
    features = reduce_concatenated(network.neck, maps)
    logits = features
    for layer in head.local_head.children():  # the last 1x1 convolution runs at full resolution
        logits = layer(logits)
    boxes = refine_everywhere(head, head.reg_conv(features))[0]
    heatmap = blur(logits.sigmoid())
    peaks = heatmap * (heatmap == functional.max_pool2d(heatmap, 3, 1, 1))
    scores, indices = peaks.flatten().topk(min(PEAKS, peaks.numel()))
    _, _, height, width = heatmap.shape
    labels, pixel = indices // (height * width), indices % (height * width)
    positions = torch.stack([pixel % width, pixel // width], dim=1)
    cells = positions // BOX_STRIDE
    at_cells = boxes[:, cells[:, 1], cells[:, 0]].T
    centre = torch.lerp(cells + at_cells[:, :2], (positions + 0.5) / BOX_STRIDE, network.config.peak_share)
    half = at_cells[:, 2:].clamp(min=0)
    corners = BOX_STRIDE * torch.cat([centre - half, centre + half], dim=1)
    keep = scores >= threshold
    return PlainDetections(heatmap[0], scores[keep], labels[keep], positions[keep], corners[keep])


def reduce_concatenated(neck: Hrfpn, maps: tuple[Tensor, ...]) -> Tensor:
    """Upsample and concatenate all maps before the 1x1 reduction."""
    size = maps[0].shape[-2:]
    larger = [functional.interpolate(x, size=size, mode="bilinear", align_corners=False) for x in maps[1:]]
    return neck.fpn_convs[0](neck.reduction_conv(torch.cat([maps[0], *larger], dim=1)))


def refine_everywhere(head: YolcHead, features: Tensor) -> Tensor:
    """Return refined boxes (B, 4, h, w): sample all channels at nine points of every cell, then one matrix product."""
    batch, channels, height, width = features.shape
    coarse = head.xywh_init(features)
    shares = head.bbox_offset(features).sigmoid().reshape(batch, 9, 2, height, width)
    top_left = (coarse[:, :2] - coarse[:, 2:])[:, None]
    inside = top_left + 2 * coarse[:, None, 2:] * shares  # (B, 9, 2, h, w), relative to the cell
    if head.config.axis_order == "release_yx":
        inside = inside.flip(2)
    ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    points = (inside + torch.stack([xs, ys])).permute(0, 1, 3, 4, 2)  # (B, 9, h, w, 2)
    grid = (2 * points + 1) / torch.tensor([width, height]) - 1
    columns = features.new_empty(batch, channels, 9, height * width)
    for tap in range(9):
        columns[:, :, tap] = functional.grid_sample(features, grid[:, tap], align_corners=False).flatten(2)
    return (head.xywh_refine.weight.flatten(1) @ columns.flatten(1, 2)).reshape(batch, 4, height, width)


def blur(heatmap: Tensor) -> Tensor:
    """Blur (B, C, H, W) with a 3x3 Gaussian, as a depthwise convolution with reflected borders."""
    taps = torch.tensor(BLUR_TAPS)
    channels = heatmap.shape[1]
    kernel = torch.outer(taps, taps).expand(channels, 1, 3, 3)
    return functional.conv2d(functional.pad(heatmap, (1, 1, 1, 1), mode="reflect"), kernel, groups=channels)
