"""Networks with random weights that find something, and images for them.

What a network costs does not depend on what its weights know, but what follows it depends on how much was found. The
random weights of here are scaled so that many matches and objects come out. Everything follows from fixed seeds.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from loftr_ros.network.config import LoFTRConfig
from loftr_ros.network.loftr import LoFTR
from perception_common.config import load_yaml
from perception_common.resources import find_config
from yolc_ros.decoding import read_heatmap
from yolc_ros.network.config import YolcConfig
from yolc_ros.network.deformable import TAPS
from yolc_ros.network.head import YolcHead
from yolc_ros.network.yolc import Yolc, initialise

COMPONENTS = 64  # of the coarse features that are told apart
BACKGROUND = math.log(0.01 / 0.99)  # logit of a heatmap pixel without object
HALF_SIZE = 2.0  # of the boxes, in cells


def textured_pair(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Two gray images (height, width) uint8; two thirds of the second show what the first does, moved sideways."""
    shift = width // 3 // 8 * 8
    noise = np.random.default_rng(0).random((height, width + shift), dtype=np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.0)
    texture = (255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)
    return np.ascontiguousarray(texture[:, shift:]), np.ascontiguousarray(texture[:, :width])


def to_tensor(gray: np.ndarray) -> torch.Tensor:
    """(H, W) uint8 to (1, 1, H, W) float32, 0 to 1."""
    return torch.from_numpy(gray.astype(np.float32) / 255)[None, None]


def crowded_frame(width: int, height: int) -> np.ndarray:
    """An RGB image (height, width, 3) uint8: two textured patches, as crowds of small things, on even ground.

    The ground has the mean colour of the networks' normalisation: as far as it goes they see nothing but zeros.
    """
    rng = np.random.default_rng(0)
    frame = np.full((height, width, 3), (124, 116, 104), np.uint8)
    for x, y in ((0.12, 0.2), (0.6, 0.5)):
        x0, y0, x1, y1 = (round(v) for v in (x * width, y * height, (x + 0.25) * width, (y + 0.3) * height))
        frame[y0:y1, x0:x1] = cv2.GaussianBlur(rng.integers(0, 256, (y1 - y0, x1 - x0, 3), np.uint8), (0, 0), 0.8)
    return frame


@torch.no_grad()
def untrained_loftr(model: str) -> LoFTR:
    """The network of config/models/MODEL.yaml, whose coarse features differ from place to place.

    Those of plain random weights are nearly the same everywhere, and nothing would be matched. Their last linear layer
    gets to show their whitened principal components instead; the transformer changes them only a little.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = LoFTR(load_yaml(LoFTRConfig, find_config(f"models/{model}.yaml"))).eval()
        coarse, _ = network.backbone(to_tensor(textured_pair(320, 240)[0]))
        cells = coarse.movedim(1, -1).flatten(0, 2)
        centred = cells - cells.mean(0)
        _, lengths, components = torch.linalg.svd(centred, full_matrices=False)
        deviations = lengths[:COMPONENTS] / len(cells) ** 0.5
        mean = functional.normalize(cells.mean(0), dim=0)
        mixing = torch.randn(cells.shape[1], COMPONENTS) @ (components[:COMPONENTS] / deviations[:, None])
        mixing -= (mixing @ mean)[:, None] * mean
        head = network.backbone.get_submodule(f"layer{network.backbone.levels}_outconv")
        assert isinstance(head, nn.Conv2d)
        head.weight.copy_((mixing @ head.weight.flatten(1) / COMPONENTS**0.5)[:, :, None, None])
        for module in network.modules():
            if isinstance(module, nn.LayerNorm):
                nn.init.constant_(module.weight, 0.1)
    return network


@torch.no_grad()
def untrained_yolc(model: str, image: torch.Tensor, objects: int, score: float) -> Yolc:
    """The network of config/models/MODEL.yaml, which finds about `objects` peaks above `score` in an image.

    image: (1, 3, H, W) uint8, sides multiples of 32.
    """
    network = Yolc(load_yaml(YolcConfig, find_config(f"models/{model}.yaml")))
    initialise(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):  # so that folding them is no identity
                module.get_buffer("running_mean").uniform_(-0.001, 0.001)
                module.get_buffer("running_var").uniform_(0.8, 1.2)
                nn.init.uniform_(module.weight, 0.6, 0.8)
                nn.init.uniform_(module.bias, -0.001, 0.001)
    network.eval()
    give_boxes_a_size(network.bbox_head)
    smooth_heatmap(network.bbox_head)
    scale_heatmap(network, image, objects, score)
    return network


def give_boxes_a_size(head: YolcHead) -> None:
    """Let one box feature be 1 everywhere and the refined sizes read it; they have no bias of their own."""
    last = head.reg_conv[2]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    last.weight[0] = 0
    last.bias[0] = 1
    head.xywh_refine.weight[2:, 0] = HALF_SIZE / TAPS


def smooth_heatmap(head: YolcHead) -> None:
    """Let the transposed convolutions interpolate: random kernels would draw a grid of peaks on even ground."""
    ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
    for layer in head.local_head:
        if isinstance(layer, nn.ConvTranspose2d):
            layer.weight.copy_(4 * layer.weight.mean((2, 3), keepdim=True) * torch.outer(ramp, ramp))


def scale_heatmap(network: Yolc, image: torch.Tensor, objects: int, score: float) -> None:
    """Scale the last layer so that the logits of even ground say "nothing" and so many peaks say `score`."""
    last = network.bbox_head.local_head[-1]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    logits = network.maps(image).heatmap[0]
    ground = logits.flatten(1).median(1).values
    above = logits - ground[:, None, None]
    low, high = 0.0, 50.0 / float(above.max())
    for _ in range(12):
        gain = (low + high) / 2
        found = len(read_heatmap(BACKGROUND + gain * above, score, objects + 1, presence=1.0).peaks.scores)
        low, high = (gain, high) if found < objects else (low, gain)
    last.weight *= gain
    last.bias.copy_(BACKGROUND + gain * (last.bias - ground))
