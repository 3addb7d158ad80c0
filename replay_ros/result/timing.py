"""Stage durations and resource use of a replay, as plain values for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from replay_ros.result.peak_rate import PeakRate

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class StageTimes:
    """Durations of one processing stage. images: positions in the bag. seconds: duration for each of these images."""

    name: str
    images: tuple[int, ...]
    seconds: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.images) != len(self.seconds):
            raise ValueError(f"{len(self.images)} images, but {len(self.seconds)} seconds")


@dataclass(frozen=True)
class ResourceUse:
    """Samples summed over all processes of a replay.

    seconds: since the start. cpu_percent: 100 is one core. gpu_memory_mib: of the whole device; None without a GPU.
    """

    seconds: tuple[float, ...]
    cpu_percent: tuple[float, ...]
    memory_mib: tuple[float, ...]
    gpu_memory_mib: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Timing:
    """Timing of a replay. stages: in processing order. peak: highest sustained image rate; None: not searched."""

    stages: tuple[StageTimes, ...] = ()
    resources: ResourceUse | None = None
    peak: PeakRate | None = None


def percentiles_ms(seconds: Sequence[float]) -> dict[str, float | None]:
    """Return p50, p95 and p99 in milliseconds; None for each without values."""
    if not len(seconds):
        return {f"p{q}_ms": None for q in PERCENTILES}
    return {
        f"p{q}_ms": float(1e3 * value)
        for q, value in zip(PERCENTILES, np.percentile(seconds, PERCENTILES), strict=True)
    }


def diagnosed_latencies(values: Mapping[str, str]) -> dict[str, dict[str, float | None]]:
    """Return p50, p95 and p99 in milliseconds by stage, read from a node's diagnostics; None where not measured.

    The keys are such as "matching p95 [ms]". The node computes the values over its last 200 images.
    """
    found: dict[str, dict[str, float | None]] = {}
    for key, value in values.items():
        stage, _, last = key.removesuffix(" [ms]").rpartition(" ")
        if stage and key.endswith(" [ms]") and last in {f"p{q}" for q in PERCENTILES}:
            found.setdefault(stage, {})[f"{last}_ms"] = _finite(value)
    return found


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
