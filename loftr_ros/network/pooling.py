"""Statistics of a feature map over an image."""

from __future__ import annotations

import torch


def channel_covariance(features: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Return the covariance of the channels over each image, (B, C, C) float32.

    features: (B, h, w, C). mask: (B, h, w) bool, False for cells that are left out, or None.
    """
    cells = features.flatten(1, 2).float()
    weight = torch.ones_like(cells[..., :1]) if mask is None else mask.flatten(1)[..., None].float()
    weight = weight / weight.sum(dim=1, keepdim=True)
    off = cells - (weight * cells).sum(dim=1, keepdim=True)
    return off.transpose(1, 2) @ (weight * off)
