"""Performs one task, in a worker: with the threads that it was given, into its own log, with its mark at the end."""

from __future__ import annotations

import faulthandler
import os
import resource
import socket
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path

from perception_common.backends.devices import set_threads
from perception_common.errors import InputError
from replay_ros.fleet.record import Record, failed, write_mark
from replay_ros.fleet.task import Findings, Resources, Task
from replay_ros.result.provenance import hash_of_files


def perform(task: Task, output: Path, resources: Resources, attempt: int) -> Record:
    """Do the work of a task and mark it as done; an exception of it becomes a failed record.

    output: folder of the fleet, which every worker sees under the same path. attempt: from 1.
    """
    set_threads(resources.cpus)
    base = replace(failed(task, "", attempt), worker=f"{socket.gethostname()}:{os.getpid()}")
    if not output.is_dir():
        cause = f"{output} does not exist on {socket.gethostname()}: all nodes must share the folders"
        return replace(base, cause=cause)
    start, cpu = time.monotonic(), _cpu_seconds()
    with _logging_to(output / base.log):
        try:
            findings = task.work.perform()
            record = _record(base, task, findings)
        except InputError as error:
            record = replace(base, cause=str(error))
            print(error)
        except Exception as error:  # of one bag, which must not end the others
            record = replace(base, cause=f"{type(error).__name__}: {error} (traceback in {base.log})")
            traceback.print_exc()
    record = replace(record, seconds=time.monotonic() - start, cpu_seconds=_cpu_seconds() - cpu)
    if record.status != "failed":
        write_mark(output, record)
    return record


def _record(base: Record, task: Task, findings: Findings) -> Record:
    return replace(
        base,
        status="incomplete" if findings.missing else "done",
        cause="; ".join(findings.missing),
        frames=findings.frames,
        files=dict(findings.files),
        metrics=findings.metrics,
        inputs_sha256=hash_of_files(task.inputs),
    )


def _cpu_seconds() -> float:
    """Return the processor time of this process and of its ended children, over all threads."""
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Append what is printed to a file; after a crash (as a segmentation fault) it also holds the stack."""
    with path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1) as log:
        faulthandler.enable(log)
        try:
            with redirect_stdout(log), redirect_stderr(log):
                yield
        finally:
            faulthandler.disable()
