"""The seam to what runs tasks: they are submitted, and come back as they end, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from replay_ros.fleet.record import Record
from replay_ros.fleet.task import Task


@dataclass(frozen=True)
class Ended:
    """A task that ended. record: its record; None: its worker died. cause: why, in words."""

    task: Task
    record: Record | None
    cause: str = ""


class Engine(Protocol):
    """Runs tasks in other processes; a task whose worker dies comes back without a record."""

    def submit(self, task: Task, attempt: int) -> None:
        """Queue a task. attempt: from 1."""
        ...

    def next_ended(self) -> Ended:
        """Wait until a submitted task ends. Raises InputError when no task can end any more."""
        ...

    def close(self) -> None:
        """End everything that was started."""
        ...
