"""Interleaved timing of tasks, and its results: table rows, checks and the report of a subject."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from tqdm import tqdm


@dataclass(frozen=True)
class BenchmarkPlan:
    """Sizes and repetitions of a benchmark. Image sizes are (width, height), pixels.

    threads: of torch. rounds: timed runs of each slow task (a network, a training step), after one untimed run.
    fast_rounds: the same for tasks of milliseconds. pairs: simulated image pairs of each geometry. training_size,
    training_batch: None: as in the training configurations. loop_flights, loop_lines, loop_line_m: simulated
    lawn-mower flights, their lines, and the length of these, metres. track_seeds, track_keyframes, track_frame:
    flights of the tracks. standing: pairs of a camera without translation. moving: pairs of one with a small
    translation, of each scene, parallax and noise. matched_pairs: pairs that loftr_lite matches on simulated flights,
    of chains of `matched_images` images of size matched_frame. tracking_seeds, tracking_courses: flights whose objects
    are tracked: so many courses with each seed, of `tracking_images` images of size tracking_frame. ground_objects:
    that are located on the ground. odometry_seeds: flights of each course whose odometry is compared with the truth, of
    `odometry_images` images of size odometry_frame.
    fleet_bags: that a fleet replays, each of `fleet_images` images of size fleet_frame.
    look_views: simulated views of size look_frame for the looks. budget_images: images
    of size budget_frame that are looked at within each budget.
    """

    threads: int
    rounds: int = 7
    fast_rounds: int = 50
    pair: tuple[int, int] = (640, 480)
    memory_pair: tuple[int, int] = (1600, 1200)
    yolc_input: tuple[int, int] = (1024, 640)
    frames: tuple[tuple[int, int], ...] = ((640, 480), (1920, 1080))
    node_frame: tuple[int, int] = (1920, 1080)
    detections: int = 500
    matches: int = 2000
    pairs: int = 250
    loop_flights: int = 3
    loop_lines: int = 8
    loop_line_m: float = 80.0
    standing: int = 2000
    moving: int = 40
    matched_pairs: int = 500
    matched_images: int = 8
    matched_frame: tuple[int, int] = (416, 312)
    look_views: int = 4
    look_frame: tuple[int, int] = (3840, 2160)
    budget_images: int = 150
    budget_frame: tuple[int, int] = (384, 288)
    training_size: tuple[int, int] | None = None
    training_batch: int | None = None
    track_seeds: tuple[int, ...] = (811, 812, 813)
    track_keyframes: int = 10
    track_frame: tuple[int, int] = (640, 480)
    tracking_seeds: tuple[int, ...] = (9101, 9102)
    tracking_courses: int = 3
    tracking_images: int = 25
    tracking_frame: tuple[int, int] = (1280, 720)
    ground_objects: int = 2000
    odometry_seeds: int = 3
    odometry_images: int = 12
    odometry_frame: tuple[int, int] = (416, 312)
    fleet_bags: int = 6
    fleet_images: int = 10
    fleet_frame: tuple[int, int] = (320, 240)


QUICK_PLAN = BenchmarkPlan(
    threads=1,
    rounds=2,
    fast_rounds=3,
    pair=(128, 96),
    memory_pair=(320, 240),  # tens of MiB, as resident memory is accurate to about a quarter of a MiB only
    yolc_input=(128, 96),
    frames=((128, 96),),
    node_frame=(192, 128),
    detections=20,
    matches=200,
    pairs=8,
    loop_flights=1,
    loop_lines=2,
    loop_line_m=40.0,
    standing=24,
    moving=1,
    matched_pairs=5,
    matched_images=4,
    matched_frame=(160, 120),
    training_size=(128, 96),
    training_batch=1,
    track_seeds=(1,),
    track_keyframes=4,
    track_frame=(320, 240),
    tracking_seeds=(1,),
    tracking_courses=1,
    tracking_images=8,
    tracking_frame=(320, 240),
    ground_objects=10,
    odometry_seeds=1,
    odometry_images=4,
    odometry_frame=(160, 120),
    fleet_bags=2,
    fleet_images=2,
    fleet_frame=(320, 240),
    look_views=1,
    look_frame=(320, 240),
    budget_images=12,
    budget_frame=(160, 120),
)
"""Sizes at which all subjects run in seconds; the durations are meaningless."""


@dataclass(frozen=True)
class Measurement:
    """One row of a table: the distribution of a value over the runs."""

    name: str
    unit: str
    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    runs: int

    @classmethod
    def of(cls, name: str, unit: str, values: Sequence[float]) -> Measurement:
        """Summarise the values of all runs."""
        minimum, lower, median, upper = np.percentile(values, (0, 25, 50, 75)).tolist()
        return cls(
            name=name,
            unit=unit,
            minimum=minimum,
            lower_quartile=lower,
            median=median,
            upper_quartile=upper,
            runs=len(values),
        )

    @classmethod
    def milliseconds(cls, name: str, seconds: Sequence[float]) -> Measurement:
        """Summarise durations in seconds."""
        return cls.of(name, "ms", [1e3 * value for value in seconds])

    @classmethod
    def ratio(cls, name: str, ours: Sequence[float], peer: Sequence[float]) -> Measurement:
        """Summarise the ratio to the peer, round by round: a slow phase of the machine affects both sides."""
        return cls.of(name, "x", [a / b for a, b in zip(ours, peer, strict=True)])


@dataclass(frozen=True)
class Check:
    """A value and its upper limit. kind: "equality" is a defect when exceeded, "aim" a goal that may be missed."""

    name: str
    kind: Literal["equality", "aim"]
    value: float
    limit: float
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether the value is within the limit; False for NaN."""
        return self.value <= self.limit


@dataclass(frozen=True)
class FigurePoint:
    """A point of a figure, with the name of its series and its own."""

    series: str
    name: str
    x: float
    y: float


@dataclass(frozen=True)
class Figure:
    """Points to plot; x, y: names of the axes."""

    x: str
    y: str
    points: tuple[FigurePoint, ...]


@dataclass(frozen=True)
class SubjectReport:
    """Results of one subject. conditions: one sentence on what the rows mean. figure: to plot, None: there is none."""

    subject: str
    conditions: str
    rows: tuple[Measurement, ...] = ()
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    figure: Figure | None = None


def take_turns(
    tasks: Mapping[str, Callable[[], object]],
    rounds: int,
    title: str,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Run all tasks one after the other, for one untimed and `rounds` timed rounds.

    Returns the seconds of each task, round by round. title: of the progress bar.
    """
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for number in tqdm(range(rounds + 1), desc=title, unit="round", leave=False, disable=None):
        for name, task in tasks.items():
            start = clock()
            task()
            if number:
                seconds[name].append(clock() - start)
    return seconds


def align_keys(
    keys0: torch.Tensor, keys1: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Match two lists of unique keys, (N,) and (M,).

    Returns the indices of the K common keys in each list, in the same order, and masks (N,) and (M,) of the others.
    """
    is_common0, is_common1 = torch.isin(keys0, keys1), torch.isin(keys1, keys0)
    common0, common1 = (
        is_common.nonzero().flatten()[keys[is_common].argsort()]
        for keys, is_common in ((keys0, is_common0), (keys1, is_common1))
    )
    return common0, common1, ~is_common0, ~is_common1


def largest_difference(differences: torch.Tensor) -> float:
    """Return the largest magnitude; infinity for an empty tensor, so that a check of nothing fails."""
    return float(differences.abs().max()) if differences.numel() else float("inf")
