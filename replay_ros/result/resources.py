"""CPU and memory use of this process and its descendants, sampled by a thread."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil
import torch

from replay_ros.result.timing import ResourceUse

_MIB = 2**20


@dataclass
class ResourceSampler:
    """Samples every `period` seconds; started by `sampling`."""

    period: float = 0.5
    _samples: list[tuple[float, float, float, float | None]] = field(default_factory=list)

    def use(self) -> ResourceUse | None:
        """Return the samples so far; None without samples."""
        if not self._samples:
            return None
        seconds, cpu, memory, gpu = zip(*self._samples, strict=True)
        return ResourceUse(
            seconds=seconds, cpu_percent=cpu, memory_mib=memory, gpu_memory_mib=None if None in gpu else gpu
        )

    def run(self, is_over: Callable[[float], bool]) -> None:
        """Sample until `is_over(period)` returns True; it waits for `period` seconds."""
        start, spent_before, then = time.monotonic(), _cpu_seconds(), time.monotonic()
        while not is_over(self.period):
            now, spent = time.monotonic(), _cpu_seconds()
            # The CPU time of a process that ended is missing from `spent`.
            percent = 100 * max(spent - spent_before, 0.0) / (now - then)
            self._samples.append((now - start, percent, _memory_mib(), _gpu_memory_mib()))
            spent_before, then = spent, now


@contextmanager
def sampling(period: float = 0.5) -> Iterator[ResourceSampler]:
    """Sample during a block."""
    over, sampler = threading.Event(), ResourceSampler(period)
    thread = threading.Thread(target=sampler.run, args=(over.wait,), name="resources", daemon=True)
    thread.start()
    try:
        yield sampler
    finally:
        over.set()
        thread.join()


def _processes() -> list[psutil.Process]:
    own = psutil.Process(os.getpid())
    return [own, *own.children(recursive=True)]


def _cpu_seconds() -> float:
    total = 0.0
    for process in _processes():
        try:
            times = process.cpu_times()
        except psutil.Error:  # the process ended meanwhile
            continue
        total += times.user + times.system
    return total


def _memory_mib() -> float:
    total = 0
    for process in _processes():
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total / _MIB


def _gpu_memory_mib() -> float | None:
    if not torch.cuda.is_available():
        return None
    free, whole = torch.cuda.mem_get_info()
    return (whole - free) / _MIB
