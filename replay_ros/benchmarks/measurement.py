"""Runs that are timed in turn, and what they amount to: rows of a table, checks, the report of a subject."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from tqdm import tqdm


@dataclass(frozen=True)
class Plan:
    """How much is measured. Sizes are (width, height), pixels.

    rounds: how often each slow thing (a network, a training step) runs after a round that is not counted. fast_rounds:
    the same for stages of milliseconds. threads: of torch.
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
    training_size: tuple[int, int] | None = None  # None: as the training configurations say


@dataclass(frozen=True)
class Measurement:
    """One row: what was measured, in which unit, and how the runs spread."""

    name: str
    unit: str
    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    runs: int

    @classmethod
    def of(cls, name: str, unit: str, values: Sequence[float]) -> Measurement:
        """Sum up the runs."""
        minimum, lower, median, upper = np.percentile(values, (0, 25, 50, 75)).tolist()
        return cls(name, unit, minimum, lower, median, upper, len(values))

    @classmethod
    def milliseconds(cls, name: str, seconds: Sequence[float]) -> Measurement:
        """Sum up durations in seconds."""
        return cls.of(name, "ms", [1e3 * value for value in seconds])

    @classmethod
    def ratio(cls, name: str, ours: Sequence[float], peer: Sequence[float]) -> Measurement:
        """Ours over the peer's, round by round: what slows the machine for a while hits both sides of a ratio."""
        return cls.of(name, "x", [a / b for a, b in zip(ours, peer, strict=True)])


@dataclass(frozen=True)
class Check:
    """A value that should not exceed a limit. equality: a defect if it does. aim: a goal that may be missed."""

    name: str
    kind: Literal["equality", "aim"]
    value: float
    limit: float
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether the value, which must be a number, keeps to the limit."""
        return self.value <= self.limit


@dataclass(frozen=True)
class Report:
    """What a subject found. conditions: the one sentence that a reader needs to understand the rows."""

    subject: str
    conditions: str
    rows: tuple[Measurement, ...] = ()
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()


def take_turns(
    tasks: Mapping[str, Callable[[], object]],
    rounds: int,
    title: str,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Run all tasks one after the other, `rounds` times after a first round that does not count.

    Returns the seconds of each task, round by round; `title` stands beside the progress on a terminal.
    """
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for number in tqdm(range(rounds + 1), desc=title, unit="round", leave=False, disable=None):
        for name, task in tasks.items():
            start = clock()
            task()
            if number:
                seconds[name].append(clock() - start)
    return seconds
