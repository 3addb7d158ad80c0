"""How long the stages of a replay took, what was dropped, and what it cost the machine: plain values for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from replay_ros.result.peak_rate import PeakRate, Trial

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class StageTimes:
    """One stage. stamps_ns: of the images that went through it. seconds: that it took for each."""

    name: str
    stamps_ns: tuple[int, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class Dropped:
    """What a node left unanswered. images: that were sent to it. lost: stamps of those without an answer."""

    node: str
    images: int
    lost: tuple[int, ...]

    @property
    def share(self) -> float:
        """Lost over sent images."""
        return len(self.lost) / self.images if self.images else 0.0


@dataclass(frozen=True)
class ResourceUse:
    """Samples of all processes of a replay together. seconds: since the start. cpu_percent: 100 for one core.

    gpu_memory_mib: of the whole device; None without one.
    """

    seconds: tuple[float, ...]
    cpu_percent: tuple[float, ...]
    memory_mib: tuple[float, ...]
    gpu_memory_mib: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Timing:
    """stages: in the order of the work. peak: the highest rate that the nodes keep up with, where it was searched."""

    stages: tuple[StageTimes, ...] = ()
    drops: tuple[Dropped, ...] = ()
    resources: ResourceUse | None = None
    peak: PeakRate | None = None


def percentiles_ms(seconds: Sequence[float]) -> dict[str, float | None]:
    """Return p50, p95 and p99 in milliseconds, None without values."""
    if not len(seconds):
        return {f"p{q}_ms": None for q in PERCENTILES}
    return {
        f"p{q}_ms": float(1e3 * value)
        for q, value in zip(PERCENTILES, np.percentile(seconds, PERCENTILES), strict=True)
    }


def diagnosed_latencies(values: Mapping[str, str]) -> dict[str, dict[str, float | None]]:
    """Return p50, p95 and p99 by stage, milliseconds, that a node's diagnostics hold; None for what was not measured.

    They are of the last 200 images, as the node measured them itself: "matching p95 [ms]".
    """
    found: dict[str, dict[str, float | None]] = {}
    for key, value in values.items():
        stage, _, last = key.removesuffix(" [ms]").rpartition(" ")
        if stage and key.endswith(" [ms]") and last in {f"p{q}" for q in PERCENTILES}:
            ms = float(value)
            found.setdefault(stage, {})[f"{last}_ms"] = ms if np.isfinite(ms) else None
    return found


def timing_from_mapping(content: Mapping[str, Any]) -> Timing:
    """Return the timing of `dataclasses.asdict(timing)`, as it comes back from JSON."""
    resources = content.get("resources")
    return Timing(
        tuple(StageTimes(s["name"], tuple(s["stamps_ns"]), tuple(s["seconds"])) for s in content["stages"]),
        tuple(Dropped(d["node"], d["images"], tuple(d["lost"])) for d in content["drops"]),
        None if resources is None else _resources(resources),
        None if (peak := content.get("peak")) is None else _peak(peak),
    )


def _resources(content: Mapping[str, Any]) -> ResourceUse:
    gpu = content["gpu_memory_mib"]
    seconds, cpu, memory = (tuple(content[name]) for name in ("seconds", "cpu_percent", "memory_mib"))
    return ResourceUse(seconds, cpu, memory, None if gpu is None else tuple(gpu))


def _peak(content: Mapping[str, Any]) -> PeakRate:
    trials = tuple(Trial(**trial) for trial in content["trials"])
    return PeakRate(content["rate_hz"], content["max_loss"], content["is_bounded"], trials)
