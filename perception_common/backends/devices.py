"""Device, precision and thread count of the networks."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import torch

from perception_common.errors import InputError

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class DevicePolicy:
    """The device and precision to use. notes: one sentence for each difference from what was requested."""

    device: torch.device
    dtype: torch.dtype
    notes: tuple[str, ...] = ()


def choose_device(device: str = "auto", precision: str = "fp32") -> DevicePolicy:
    """Choose the device ("auto", "cpu", "cuda", "cuda:N") and precision ("fp32", "fp16", "bf16") on this machine.

    What the machine does not support falls back to the CPU or to fp32 with a note, so that a node configured for a GPU
    also works without one. Raises InputError for unknown names.
    """
    chosen, device_notes = _choose_device(device)
    dtype, dtype_notes = _choose_dtype(precision, chosen)
    return DevicePolicy(chosen, dtype, device_notes + dtype_notes)


def default_threads(nodes: int = 1) -> int:
    """Return the torch threads, at least 1, of each of `nodes` nodes that share the cores of this process."""
    return max(1, _available_cores() // max(1, nodes))


def set_threads(count: int) -> None:
    """Set the number of torch threads; 0 keeps torch's default. Raises InputError for a negative count."""
    if count < 0:
        raise InputError(f"the number of threads cannot be {count}; use 0 for torch's default or a positive number")
    if count:
        torch.set_num_threads(count)


def _choose_device(device: str) -> tuple[torch.device, tuple[str, ...]]:
    cpu = torch.device("cpu")
    if device == "cpu":
        return cpu, ()
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return (torch.device("cuda", 0) if available else cpu), ()
    match = re.fullmatch(r"cuda(?::(\d+))?", device)
    if not match:
        raise InputError(f"unknown device {device!r}; use auto, cpu, cuda or cuda:N")
    index = int(match[1] or 0)
    if index < available:
        return torch.device("cuda", index), ()
    have = f"only {available} CUDA device{'s' * (available > 1)}" if available else "no CUDA device"
    return cpu, (f"device {device} was requested, but torch finds {have}: running on the CPU",)


def _choose_dtype(precision: str, device: torch.device) -> tuple[torch.dtype, tuple[str, ...]]:
    if precision not in _DTYPES:
        raise InputError(f"unknown precision {precision!r}; use {', '.join(_DTYPES)}")
    if precision == "fp16" and device.type == "cpu":
        return torch.float32, ("precision fp16 is for GPUs: running in fp32 on the CPU",)
    if precision == "bf16" and device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
        return torch.float32, (
            f"precision bf16 is not supported by {torch.cuda.get_device_name(device)}: running in fp32",
        )
    return _DTYPES[precision], ()


def _available_cores() -> int:
    """Return the number of cores that this process may use; containers and taskset restrict them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
