"""Two-dimensional sine encoding of positions (section 3.2)."""

from __future__ import annotations

import math
from typing import Literal

import torch


def position_encoding(
    height: int, width: int, channels: int, form: Literal["fixed", "released"], device: torch.device | None = None
) -> torch.Tensor:
    """Encode the positions of a map of any size.

    Channel 4k holds sin(x f_k), 4k + 1 cos(x f_k), 4k + 2 sin(y f_k), 4k + 3 cos(y f_k), where x and y count from 1.
    `fixed`: f_k = 10000 ** (-4k / channels). `released`: f_k = exp(-2k), used by the first published checkpoints.

    Returns (height, width, channels) float32.
    """
    step = -2 * math.log(10000.0) / channels if form == "fixed" else -1.0
    frequencies = torch.exp(step * torch.arange(0, channels // 2, 2, device=device, dtype=torch.float32))
    x = torch.arange(1, width + 1, device=device, dtype=torch.float32)[:, None] * frequencies
    y = torch.arange(1, height + 1, device=device, dtype=torch.float32)[:, None] * frequencies
    along_x = torch.stack([x.sin(), x.cos()], dim=-1)  # (width, channels / 4, 2)
    along_y = torch.stack([y.sin(), y.cos()], dim=-1)
    shape = (height, width, channels // 4, 2)
    return torch.cat([along_x.expand(shape), along_y[:, None].expand(shape)], dim=-1).reshape(height, width, channels)
