"""The machine on which a benchmark runs, and the environment of child processes."""

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
    """The hardware and software of a run.

    threads: of torch. load_average: runnable processes over the last minute at the start; above 0, other processes may
    disturb the results.
    """

    cpu: str
    cores: int
    memory_gib: float
    python: str
    torch: str
    kornia: str
    threads: int
    wait_policy: str
    load_average: float
    gpu: str = ""  # name and memory of each GPU, and the version of CUDA


def describe_machine(threads: int) -> Machine:
    """Return the description of this machine. threads: of torch. Raises InputError on systems other than Linux."""
    return Machine(
        cpu=_cpu_name(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gib=round(read_proc_bytes("meminfo", "MemTotal") / 2**30, 1),
        python=platform.python_version(),
        torch=torch.__version__,
        kornia=_installed_version("kornia"),
        threads=threads,
        wait_policy=os.environ.get("OMP_WAIT_POLICY", "not set"),
        load_average=round(os.getloadavg()[0], 1),
        gpu=_gpu_names(),
    )


def available_memory() -> int:
    """Return the bytes that a process can allocate without swapping."""
    return read_proc_bytes("meminfo", "MemAvailable")


def read_proc_bytes(file: str, field: str) -> int:
    """Return a field of a file in /proc that is given in kB, bytes. Raises InputError when there is no such field."""
    for line in Path("/proc", file).read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise InputError(f"/proc/{file} has no {field}: the benchmark needs Linux")


def child_environment() -> dict[str, str]:
    """Return the environment for a child process that imports these packages."""
    root = str(Path(__file__).resolve().parents[2])
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _gpu_names() -> str:
    if not torch.cuda.is_available():
        return ""
    found = (torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count()))
    names = ", ".join(f"{each.name} ({each.total_memory / 2**30:.0f} GiB)" for each in found)
    return f"{names}, CUDA {torch.version.cuda}"


def _installed_version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
