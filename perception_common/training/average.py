"""The exponential moving average of a network's weights, which is evaluated and exported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class WeightAverage:
    """Average of all parameters and buffers of `module`; its decay grows over the first steps (see `update`)."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay must lie in 0 to 1 (exclusive), got {decay}")
        self.decay = decay
        self.state = {key: tensor.detach().clone() for key, tensor in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move towards the weights that `module` has after `step` steps (from 1). Integer buffers are copied."""
        decay = min(self.decay, (1 + step) / (10 + step))  # smaller at first, so that the initial weights fade quickly
        for key, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                self.state[key].lerp_(tensor, 1 - decay)
            else:
                self.state[key].copy_(tensor)

    @contextmanager
    def applied_to(self, module: nn.Module) -> Iterator[None]:
        """Let `module` have the averaged weights within a with-block."""
        own = {key: tensor.detach().clone() for key, tensor in module.state_dict().items()}
        module.load_state_dict(self.state)
        try:
            yield
        finally:
            module.load_state_dict(own)
