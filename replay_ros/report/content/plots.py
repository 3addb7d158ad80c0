"""Data of the plots: trajectory, ground map, errors over time, precision-recall curves, timing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class TrajectorySection:
    """Top view of the trajectory. axes: labels of x and y with their unit. about: how the path was aligned.

    frames: (N,) frame indices of the keyframes. estimated: (N, 2). covariances: (N, 2, 2), unit squared. starts: (N,)
    bool, no relative pose leads to this keyframe: a new segment begins. errors: (N,) 3-D distance to the ground truth,
    metres; None without ground truth. true_frames: (M,) frame indices, true: (M, 2).
    """

    axes: tuple[str, str]
    about: str
    frames: np.ndarray
    estimated: np.ndarray
    covariances: np.ndarray
    starts: np.ndarray
    errors: np.ndarray | None = None
    true_frames: np.ndarray | None = None
    true: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class MappedObject:
    """An object on the map: a track, or a detection without one.

    path: (K, 2), metres east and north, where it was located. frames: (K,) frame indices. covariance: (2, 2), of the
    last place, m^2.
    """

    name: str
    class_id: int
    class_name: str
    path: np.ndarray
    frames: np.ndarray
    covariance: np.ndarray
    moving: bool


@dataclass(frozen=True, eq=False)
class GroundMap:
    """Where objects stand. about: the frame, in words. true: (M, 2), metres east and north, of true objects."""

    about: str
    objects: tuple[MappedObject, ...]
    true: np.ndarray


@dataclass(frozen=True, eq=False)
class Series:
    """Values over time. frames: (N,) int, values: (N,)."""

    name: str
    unit: str
    frames: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """Precision-recall curve of one class. recall, precision: (N,), 0 to 1. ap: None when it was not computed."""

    name: str
    recall: np.ndarray
    precision: np.ndarray
    ap: float | None = None


@dataclass(frozen=True, eq=False)
class Stage:
    """Duration of one processing stage. frames: (N,) int, seconds: (N,)."""

    name: str
    frames: np.ndarray
    seconds: np.ndarray


@dataclass(frozen=True, eq=False)
class Drops:
    """Images without a result from a node. images: number sent. lost: (K,) frame indices. refused: how many of them."""

    node: str
    images: int
    lost: np.ndarray
    refused: int = 0


@dataclass(frozen=True, eq=False)
class Resources:
    """CPU and memory use. seconds: (N,) since the start. cpu_percent: (N,), 100 is one core. memory_mib: (N,)."""

    seconds: np.ndarray
    cpu_percent: np.ndarray
    memory_mib: np.ndarray
    gpu_memory_mib: np.ndarray | None = None


@dataclass(frozen=True)
class TimingSection:
    """Latencies, drops and resources of a replay; each part may be missing."""

    stages: tuple[Stage, ...] = ()
    drops: tuple[Drops, ...] = ()
    resources: Resources | None = None
