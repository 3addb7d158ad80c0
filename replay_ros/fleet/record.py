"""The record of a task: one line of results.jsonl, and the mark that the task is done.

A worker writes the mark of a task atomically when its outputs are complete, so whatever dies afterwards loses nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from perception_common.atomic_file import output_file
from perception_common.config import from_mapping
from perception_common.errors import InputError
from perception_common.text.json_files import parse_json, read_json, write_json
from perception_common.text.text_files import read_text
from replay_ros.fleet.task import Task
from replay_ros.result.compare import Metric
from replay_ros.result.provenance import hash_of_files, hash_of_values

RESULTS, MARKS, LOGS = "results.jsonl", "done", "logs"  # in the output folder
Status = Literal["done", "incomplete", "failed"]


@dataclass(frozen=True)
class Record:
    """What became of a task.

    source: the bag or dataset. status: "incomplete": results are there, and something that was asked for is missing.
    cause: why it failed, or what is missing; "" when done. attempts: of workers, the last one included. frames: images.
    seconds, cpu_seconds: of the last attempt; the second over all threads. size: bytes of the inputs. worker: host and
    process. log: what the task printed. files, metrics: as in `Findings`. setup_sha256: hash of options, parameters,
    weights and versions. inputs_stat: hash of names, sizes and times of the input files; inputs_sha256: of their
    contents, "" where the task failed.
    """

    name: str
    source: str
    status: Status
    cause: str
    attempts: int
    frames: int
    seconds: float
    cpu_seconds: float
    size: int
    worker: str
    log: str
    files: Mapping[str, str]
    metrics: tuple[Metric, ...]
    setup_sha256: str
    inputs_stat: str
    inputs_sha256: str


def stat_of(files: Iterable[Path]) -> str:
    """Return the hash of names, sizes and times of change of files; a file that is gone counts as empty."""
    digest = hashlib.sha256()
    for file in files:
        found = file.stat() if file.exists() else None
        state = (0, 0) if found is None else (found.st_size, found.st_mtime_ns)
        digest.update(repr((file.name, *state)).encode())
    return digest.hexdigest()


def failed(task: Task, cause: str, attempts: int) -> Record:
    """Return the record of a task whose worker did not return one."""
    return Record(
        name=task.name,
        source=str(task.source),
        status="failed",
        cause=cause,
        attempts=attempts,
        frames=0,
        seconds=0.0,
        cpu_seconds=0.0,
        size=task.size,
        worker="",
        log=f"{LOGS}/{task.name}.log",
        files={},
        metrics=(),
        setup_sha256=hash_of_values(task.setup),
        inputs_stat=stat_of(task.inputs),
        inputs_sha256="",
    )


def is_of(record: Record, task: Task) -> bool:
    """Tell whether a record is of the present inputs; their contents are read only where a time or size differs."""
    if record.inputs_stat == stat_of(task.inputs):
        return True
    try:
        return record.inputs_sha256 == hash_of_files(task.inputs)
    except OSError:
        return False


def write_mark(output: Path, record: Record) -> None:
    """Mark a task as done. Raises InputError."""
    write_json(output / MARKS / f"{record.name}.json", asdict(record))


def read_mark(output: Path, name: str) -> Record | None:
    """Return the record of a task that is done; None where it is not, or its mark cannot be read."""
    try:
        return record_from(read_json(output / MARKS / f"{name}.json"))
    except InputError:
        return None


def write_records(output: Path, records: Sequence[Record]) -> None:
    """Write results.jsonl. Raises InputError."""
    lines = [json.dumps(asdict(record), allow_nan=False) + "\n" for record in records]
    with output_file(output / RESULTS) as unfinished:
        unfinished.write_text("".join(lines), encoding="utf-8")


def read_records(output: Path) -> tuple[Record, ...]:
    """Read results.jsonl of a fleet's output folder. Raises InputError."""
    path = output / RESULTS
    if not path.is_file():
        raise InputError(f"{output} holds no fleet (no {RESULTS}); give the --output of `yolc fleet`")
    try:
        return tuple(record_from(parse_json(line)) for line in read_text(path).splitlines())
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def record_from(content: Mapping[str, Any]) -> Record:
    """Return the record of plain values. Raises InputError."""
    try:
        return from_mapping(Record, content, "record")
    except InputError as error:
        raise InputError(f"is no record of a fleet of this version ({error})") from error
