"""Exact rewritings of a network for faster inference."""

from __future__ import annotations

import copy

import torch

from perception_common.backends.batch_norm import fold_batch_norm
from yolc_ros.network.yolc import Yolc


def set_precision(network: Yolc, dtype: torch.dtype) -> Yolc:
    """Convert a network in place for inference and return it.

    The mean colour and the layers that predict boxes stay float32: they cost little, since boxes are predicted at few
    cells, and half precision would round coordinates.
    """
    for module in (network.backbone, network.neck, network.bbox_head.local_head, network.bbox_head.reg_conv):
        module.to(dtype)
    return network


@torch.no_grad()
def prepare_for_inference(network: Yolc) -> Yolc:
    """Return a copy in evaluation mode, without gradients, that computes the same outputs faster.

    Batch normalisation is folded into the preceding convolution, and the weights are in channels-last layout. `network`
    itself is not changed.
    """
    fused = copy.deepcopy(network).eval().requires_grad_(False)
    fold_batch_norm(fused)
    return fused.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
