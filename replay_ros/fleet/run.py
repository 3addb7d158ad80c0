"""Runs the tasks of a fleet: what is done already is kept, and a task whose worker dies is repeated."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perception_common.atomic_file import make_folder
from perception_common.errors import InputError
from perception_common.text.json_files import read_json, write_json
from replay_ros.evaluation.detection.cache import changed_keys
from replay_ros.fleet.engines.engine import Engine
from replay_ros.fleet.progress import Progress
from replay_ros.fleet.record import LOGS, MARKS, Record, failed, is_of, read_mark
from replay_ros.fleet.task import Task
from replay_ros.result.provenance import hash_of_values

PLAN, LOCK, SCHEMA = "fleet.json", ".lock", "yolc_ros/fleet/1"
_NAMED = 4  # changed options in a message


@dataclass
class Fleet:
    """A fleet in its output folder. kind: "replay", "evaluate detection", ... retries: of a task whose worker dies.

    redo: results that were made with other options are replaced instead of refused. start: gives the engine, which is
    started when there is something to do.
    """

    output: Path
    kind: str
    start: Callable[[], Engine]
    retries: int = 2
    redo: bool = False
    _engine: Engine | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Raises InputError for a folder with other things in it, or with a fleet of another kind."""
        there = {path.name for path in self.output.iterdir()} if self.output.is_dir() else set()
        if PLAN not in there and (others := there - {MARKS, LOGS, LOCK}):
            raise InputError(f"{self.output} holds {min(others)}; give a new folder, or that of an earlier fleet")
        if (kind := self._plan()["kind"]) != self.kind:
            raise InputError(f"{self.output} holds a fleet of `{kind}`; give another --output for `{self.kind}`")
        for folder in (self.output, self.output / MARKS, self.output / LOGS):
            make_folder(folder)
        self._lock = (self.output / LOCK).open("w")  # held until this process ends, however it ends
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"another `yolc fleet` writes to {self.output}: wait for it, or end it") from error

    def run(self, tasks: Sequence[Task]) -> list[Record]:
        """Run the tasks that are not done, large ones first; return the records of all, in the order of the tasks.

        Raises InputError when results are there that were made with other options.
        """
        records = self._kept(tasks)
        left = sorted((task for task in tasks if task.name not in records), key=lambda task: -task.size)
        if records:
            print(f"{len(records)} of {len(tasks)} tasks are done already", flush=True)
        self._remember(left)
        for task in left:
            with suppress(FileNotFoundError):  # its outputs are about to change
                (self.output / MARKS / f"{task.name}.json").unlink()
        if left:
            records |= self._run(left)
        return [records[task.name] for task in tasks]

    def close(self) -> None:
        """End the engine, where one was started."""
        if self._engine is not None:
            self._engine.close()
        self._lock.close()

    def _run(self, tasks: Sequence[Task]) -> dict[str, Record]:
        self._engine = engine = self._engine or self.start()
        progress = Progress(len(tasks), sum(task.size for task in tasks))
        attempts = {task.name: 1 for task in tasks}
        records: dict[str, Record] = {}
        for task in tasks:
            engine.submit(task, 1)
        while len(records) < len(tasks):
            ended = engine.next_ended()
            task, attempt = ended.task, attempts[ended.task.name]
            # A worker that dies after its task was done has left the mark.
            record = ended.record or self._marked(task)
            if record is None and attempt <= self.retries:
                attempts[task.name] = attempt + 1
                progress.repeat(task.name, ended.cause, attempt + 1)
                engine.submit(task, attempt + 1)
                continue
            records[task.name] = record or failed(task, f"{ended.cause}, {attempt} times", attempt)
            progress.add(records[task.name])
        return records

    def _kept(self, tasks: Sequence[Task]) -> dict[str, Record]:
        """Return the records of tasks that are done with these options and inputs."""
        kept = {}
        for task in tasks:
            record = read_mark(self.output, task.name)
            if record is None or not is_of(record, task):
                continue
            if record.setup_sha256 == hash_of_values(task.setup):
                kept[task.name] = record
            elif not self.redo:
                raise InputError(
                    f"{self.output} holds results with {self._what_changed(record, task)}; give --redo to replace "
                    "them, or another --output"
                )
        return kept

    def _marked(self, task: Task) -> Record | None:
        record = read_mark(self.output, task.name)
        return record if record is not None and is_of(record, task) else None

    def _what_changed(self, record: Record, task: Task) -> str:
        before = self._plan()["setups"].get(record.setup_sha256, {})
        changed = [f"another {name}" for name in changed_keys(before, task.setup)] if before else []
        more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
        return (", ".join(changed[:_NAMED]) or "other options") + more

    def _plan(self) -> dict[str, Any]:
        path = self.output / PLAN
        if not path.is_file():
            return {"schema": SCHEMA, "kind": self.kind, "setups": {}}
        content: dict[str, Any] = read_json(path)
        is_plan = isinstance(content, dict) and content.get("schema") == SCHEMA and isinstance(content.get("kind"), str)
        setups = content.get("setups") if is_plan else None
        if not isinstance(setups, dict) or not all(isinstance(setup, dict) for setup in setups.values()):
            raise InputError(f"{path} is damaged or of another version; give another --output")
        return content

    def _remember(self, tasks: Sequence[Task]) -> None:
        """Write what the tasks depend on, before the first of them is done."""
        plan = self._plan()
        setups = plan["setups"] | {hash_of_values(task.setup): task.setup for task in tasks}
        write_json(self.output / PLAN, plan | {"setups": setups})
