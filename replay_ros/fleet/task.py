"""A task of a fleet: what it reads, what its answer depends on, what it does and what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from perception_common.errors import InputError
from replay_ros.result.compare import Metric


@dataclass(frozen=True)
class Resources:
    """What each task is given. cpus: cores, and threads of torch. gpus: devices. memory_mb: MiB; 0: not declared."""

    cpus: int = 1
    gpus: float = 0.0
    memory_mb: int = 0

    def __post_init__(self) -> None:
        if self.cpus < 1 or self.gpus < 0 or self.memory_mb < 0:
            raise InputError(f"a task needs at least one core and no negative amounts, not {self}")


@dataclass(frozen=True)
class Findings:
    """What a task found.

    frames: images that it went through. metrics: as `compare` knows them. missing: what was asked for and is not there,
    one clause for each. files: what it wrote, by kind ("bag", "result", "report"), relative to the output folder.
    """

    frames: int
    metrics: tuple[Metric, ...] = ()
    missing: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


class Work(Protocol):
    """What a task does, in a worker; it travels there by pickle."""

    def perform(self) -> Findings:
        """Do it. Raises InputError for input that cannot be used; other exceptions are bugs."""
        ...


@dataclass(frozen=True)
class Refused:
    """The work of a bag that cannot even be planned: it fails with the cause."""

    cause: str

    def perform(self) -> Findings:
        """Raise the cause as InputError."""
        raise InputError(self.cause)


@dataclass(frozen=True)
class Task:
    """One bag, dataset, or shard of a dataset.

    name: unique in the fleet, a file name. source: the bag or dataset. inputs: files that it reads, in a fixed order.
    setup: everything else that the answer depends on, as plain values: options, parameters, weights, versions.
    """

    name: str
    source: Path
    inputs: tuple[Path, ...]
    work: Work
    setup: Mapping[str, Any]

    @property
    def size(self) -> int:
        """Bytes of the inputs, which tell large tasks from small ones."""
        return sum(path.stat().st_size for path in self.inputs if path.is_file())
