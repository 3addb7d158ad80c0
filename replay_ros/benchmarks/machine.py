"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch

from perception_common.errors import InputError


@dataclass(frozen=True)
class Machine:
    """load_average: runnable processes over the last minute, when the run began; above 0 the figures have company."""

    cpu: str
    cores: int
    memory_gib: float
    python: str
    torch: str
    kornia: str
    threads: int
    wait_policy: str
    load_average: float


def describe_machine(threads: int) -> Machine:
    """Look at this machine; `threads`: those of torch."""
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gib=round(_memory_bytes("MemTotal") / 2**30, 1),
        python=platform.python_version(),
        torch=torch.__version__,
        kornia=_version("kornia"),
        threads=threads,
        wait_policy=os.environ.get("OMP_WAIT_POLICY", "not set"),
        load_average=round(os.getloadavg()[0], 1),
    )


def available_memory() -> int:
    """Bytes that a process can have without others losing theirs."""
    return _memory_bytes("MemAvailable")


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory_bytes(field: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise InputError(f"/proc/meminfo has no {field}: the benchmark needs Linux")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
