"""Training by several processes of torchrun, equivalent to one process with the same global batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import distributed as dist
from torch import nn

from perception_common.errors import InputError


@dataclass(frozen=True)
class Processes:
    """This process among all that train together. rank: its number; count: of all."""

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and the log."""
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """Return this process's part of a global batch. Raises InputError when it cannot be split evenly."""
        if batch % self.count:
            raise InputError(f"a batch of {batch} cannot be shared by {self.count} processes; use a multiple")
        size = batch // self.count
        return slice(self.rank * size, (self.rank + 1) * size)

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """Return the sum of a detached tensor over all processes."""
        if self.count == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set in any process; all processes get the same value."""
        return bool(self.sum(torch.tensor(float(flag), device=self.device)) > 0)

    def gather(self, value: Any) -> list[Any]:
        """Return the picklable values of all processes, by rank."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value)
        return values

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return a module that averages gradients over the processes; `module` itself for one process."""
        if self.count == 1:
            return module
        device_ids = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=device_ids)


@contextmanager
def distributed(device: torch.device) -> Iterator[Processes]:
    """Join the process group of torchrun (RANK, WORLD_SIZE, LOCAL_RANK), if it runs: NCCL on GPUs, else gloo."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(device=device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size(), device)
    finally:
        dist.destroy_process_group()


class _SumOverProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes; the gradient is summed likewise."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


class SynchronisedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation over the batches of all processes, on any device (torch's SyncBatchNorm needs a GPU)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise (B, C, H, W); in evaluation mode as BatchNorm2d does."""
        if not self.training:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            wide = x.float()
            count = wide.new_tensor([wide.numel() / wide.shape[1]])
            sums = _SumOverProcesses.apply(torch.cat([wide.sum((0, 2, 3)), wide.square().sum((0, 2, 3)), count]))
            mean, square = (sums[:-1] / sums[-1]).chunk(2)
            variance = (square - mean.square()).clamp(min=0)
            self._update_running(mean.detach(), variance.detach(), float(sums[-1].detach()))
            scale = self.weight * (variance + self.eps).rsqrt()
            shift = self.bias - mean * scale
            return (wide * scale[:, None, None] + shift[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _update_running(self, mean: torch.Tensor, variance: torch.Tensor, count: float) -> None:
        momentum = 0.1 if self.momentum is None else self.momentum
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * count / max(count - 1, 1), momentum)
        self.num_batches_tracked += 1


def synchronise_batch_norm(module: nn.Module, processes: Processes) -> nn.Module:
    """Turn every BatchNorm2d in `module` into SynchronisedBatchNorm, in place, if there are several processes.

    Parameters keep their names and identity. Returns `module`.
    """
    if processes.count > 1:
        for child in module.modules():
            if type(child) is nn.BatchNorm2d:
                child.__class__ = SynchronisedBatchNorm
    return module
