"""Linear projection of tokens, faster than torch's on CPUs."""

from __future__ import annotations

import torch
from torch import nn


def project(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Compute x @ weight.T + bias, as `torch.nn.functional.linear`: (..., C) and (D, C) to (..., D).

    Inference in float32 on a CPU uses oneDNN's 1x1 convolution, which is more than twice as fast as the BLAS behind
    `linear` on AMD processors, and as fast on others.
    """
    if torch.compiler.is_compiling():  # `torch.export` knows no oneDNN operators
        return nn.functional.linear(x, weight, bias)
    differentiated = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    single = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32
    if differentiated or not single or not x.numel() or not torch.backends.mkldnn.is_available():
        return nn.functional.linear(x, weight, bias)
    image = x.reshape(1, 1, -1, x.shape[-1]).permute(0, 3, 1, 2)
    product = torch.mkldnn_convolution(image, weight[:, :, None, None], bias, (0, 0), (1, 1), (1, 1), 1)
    return product.permute(0, 2, 3, 1).reshape(*x.shape[:-1], len(weight))
