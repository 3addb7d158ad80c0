"""Device, precision, runtime and thread count of the networks."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from perception_common.backends.onnx_packages import choose_providers
from perception_common.backends.streams import DeviceStream
from perception_common.errors import InputError

BACKENDS = ("torch", "onnxruntime")
PRECISIONS = ("auto", "fp32", "fp16", "bf16")

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


_NATIVE_BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})  # flags in /proc/cpuinfo; the last one is of ARM


@dataclass(frozen=True)
class DevicePolicy:
    """The device and precision to use. notes: one sentence for each difference from what was requested.

    providers: of ONNX Runtime, short names, preferred first; empty: torch computes everything. With providers, `device`
    and `dtype` are those of what stays in torch: the CPU and fp32. report: takes a line on the progress of an export.
    cuda_graphs: see `GraphRuntime`; False where the device is no GPU.
    """

    device: torch.device
    dtype: torch.dtype
    notes: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    report: Callable[[str], None] = lambda line: print(line, file=sys.stderr)
    cuda_graphs: bool = False

    @property
    def name(self) -> str:
        """Where the network runs, as "cpu", "cuda:0" or "onnxruntime (openvino, cpu)"."""
        return f"onnxruntime ({', '.join(self.providers)})" if self.providers else str(self.device)

    @cached_property
    def stream(self) -> DeviceStream:
        """Where all with this policy queue their work; each node chooses a policy of its own."""
        return DeviceStream(self.device)


def choose_device(
    device: str = "auto",
    precision: str = "fp32",
    backend: str = "torch",
    providers: str = "cpu",
    *,
    cuda_graphs: bool = False,
) -> DevicePolicy:
    """Choose device ("auto", "cpu", "cuda", "cuda:N"), precision and backend (`BACKENDS`) on this machine.

    precision: "fp32", "fp16", "bf16", or "auto": fp16 on CUDA, bf16 on a CPU that computes it natively, else fp32.
    providers: of ONNX Runtime, separated by commas, preferred first; they replace the device, and compute in fp32.
    cuda_graphs: on CUDA, record the networks as graphs.
    What the machine does not support falls back to the CPU or to fp32 with a note, so that a node configured for a GPU
    also works without one. Raises InputError for unknown names, and where ONNX Runtime is asked for and missing.
    """
    if backend not in BACKENDS:
        raise InputError(f"unknown backend {backend!r}; use {', '.join(BACKENDS)}")
    if backend == "onnxruntime":
        names = tuple(name.strip() for name in providers.split(",") if name.strip())
        available, notes = choose_providers(names)
        if precision not in ("auto", "fp32"):
            notes += (f"precision {precision} is for backend torch: exported networks compute in fp32",)
        return DevicePolicy(torch.device("cpu"), torch.float32, notes, available)
    chosen, device_notes = _choose_device(device)
    dtype, dtype_notes = _choose_dtype(precision, chosen)
    return DevicePolicy(chosen, dtype, device_notes + dtype_notes, cuda_graphs=cuda_graphs and chosen.type == "cuda")


@dataclass(frozen=True)
class RuntimeChoice:
    """Precision and backend as an evaluation asks for them; see `choose_device`. By default they are the reference."""

    precision: str = "fp32"
    backend: str = "torch"
    providers: str = "cpu"

    def on(self, device: str) -> DevicePolicy:
        """Choose a device with this precision and backend. Raises InputError as `choose_device`."""
        return choose_device(device, self.precision, self.backend, self.providers)


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


def has_native_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this CPU multiplies bf16 in hardware: AVX-512 BF16, AMX, or BF16 of ARM. False where it cannot be told.

    Without it, torch converts to fp32 and back, which is slower than fp32.
    """
    try:
        text = cpuinfo.read_text()
    except OSError:
        return False
    lines = re.findall(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return bool(lines) and all(_NATIVE_BF16 & set(line.split()) for line in lines)


def _choose_dtype(precision: str, device: torch.device) -> tuple[torch.dtype, tuple[str, ...]]:
    if precision not in PRECISIONS:
        raise InputError(f"unknown precision {precision!r}; use {', '.join(PRECISIONS)}")
    if precision == "auto":
        precision = "fp16" if device.type == "cuda" else "bf16" if has_native_bf16() else "fp32"
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
