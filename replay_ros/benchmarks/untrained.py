"""Networks with random weights that still find matches and objects.

The duration of a network does not depend on its weights, but that of the stages after it depends on the number of
matches and objects. Therefore the random weights are scaled until there are many. All seeds are fixed.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from loftr_ros.network.config import LoFTRConfig
from loftr_ros.network.loftr import LoFTR
from perception_common.backends.devices import choose_device
from perception_common.config import load_yaml
from perception_common.resources import find_config
from replay_ros.benchmarks.synthetic import textured_pair, to_tensor
from yolc_ros.decoding import read_heatmap
from yolc_ros.detector import Detector, DetectorSettings
from yolc_ros.network.config import YolcConfig
from yolc_ros.network.deformable import TAPS
from yolc_ros.network.head import YolcHead
from yolc_ros.network.yolc import Yolc, initialise
from yolc_ros.preprocessing import place, render

COMPONENTS = 64  # principal components of the coarse features; empirical
BACKGROUND = math.log(0.01 / 0.99)  # logit of a heatmap pixel without an object: probability 0.01
HALF_SIZE = 2.0  # of the boxes, in cells of the box branch


@torch.no_grad()
def untrained_loftr(model: str) -> LoFTR:
    """Return the network of config/models/MODEL.yaml with coarse features that differ from cell to cell.

    Plain random weights give nearly the same features everywhere, and no matches. Therefore the last linear layer of
    the backbone outputs the whitened principal components of the features, and the transformer is weakened so that it
    changes them only a little.
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
    """Return the network of config/models/MODEL.yaml, which finds about `objects` peaks above `score` in an image.

    image: (1, 3, H, W) uint8, H and W multiples of 32.
    """
    network = Yolc(load_yaml(YolcConfig, find_config(f"models/{model}.yaml")))
    initialise(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):  # not the identity, so that folding them changes weights
                module.get_buffer("running_mean").uniform_(-0.001, 0.001)
                module.get_buffer("running_var").uniform_(0.8, 1.2)
                nn.init.uniform_(module.weight, 0.6, 0.8)
                nn.init.uniform_(module.bias, -0.001, 0.001)
    network.eval()
    _set_box_size(network.bbox_head)
    _smooth_heatmap(network.bbox_head)
    _scale_heatmap(network, image, objects, score)
    return network


def untrained_lite_detector(frame: np.ndarray, objects: int, precision: str = "fp32") -> Detector:
    """Return a yolc_lite detector with the nodes' default settings that finds about `objects` objects in the frame."""
    settings = DetectorSettings()
    placed = render(frame, place(frame.shape[1], frame.shape[0]))
    tensor = torch.from_numpy(placed).permute(2, 0, 1)[None]
    network = untrained_yolc("yolc_lite", tensor, objects, settings.score_threshold)
    return Detector.from_network(network, choose_device("cpu", precision), settings, name="yolc_lite")


def _set_box_size(head: YolcHead) -> None:
    """Set one box feature to 1 everywhere and the refined box sizes to read it, as they have no bias."""
    last = head.reg_conv[2]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    last.weight[0] = 0
    last.bias[0] = 1
    head.xywh_refine.weight[2:, 0] = HALF_SIZE / TAPS


def _smooth_heatmap(head: YolcHead) -> None:
    """Make the transposed convolutions interpolate; random kernels give a regular grid of peaks on plain ground."""
    ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
    for layer in head.local_head:
        if isinstance(layer, nn.ConvTranspose2d):
            layer.weight.copy_(4 * layer.weight.mean((2, 3), keepdim=True) * torch.outer(ramp, ramp))


def _scale_heatmap(network: Yolc, image: torch.Tensor, objects: int, score: float) -> None:
    """Scale the last layer so that plain ground has the logit BACKGROUND and about `objects` peaks exceed `score`."""
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
