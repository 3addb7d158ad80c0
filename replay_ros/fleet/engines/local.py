"""Workers on this machine, as processes that take one task after the other; needs nothing but Python."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from replay_ros.fleet.engines.engine import Ended
from replay_ros.fleet.engines.local_worker import main
from replay_ros.fleet.task import Resources, Task

_GRACE_S = 5.0  # for a worker that ends by itself


@dataclass
class _Worker:
    """A process. connection: to it, for pickled values. task: what it does at the moment."""

    process: subprocess.Popen[bytes]
    connection: Connection
    task: Task | None = None


class LocalEngine:
    """At most `workers` processes, started when they are needed; one that dies is replaced."""

    def __init__(self, output: Path, resources: Resources, workers: int) -> None:
        self._output, self._resources, self._count = output, resources, workers
        self._waiting: deque[tuple[Task, int]] = deque()
        self._workers: list[_Worker] = []

    def submit(self, task: Task, attempt: int) -> None:
        """Queue a task."""
        self._waiting.append((task, attempt))
        self._assign()

    def next_ended(self) -> Ended:
        """Wait until a task ends."""
        while True:
            self._assign()
            ready = wait([worker.connection for worker in self._workers if worker.task is not None])
            worker = next(each for each in self._workers if each.connection in ready)
            task, worker.task = worker.task, None
            assert task is not None  # only busy ones are waited for
            try:
                return Ended(task, worker.connection.recv())
            except (EOFError, OSError):
                self._workers.remove(worker)
                worker.connection.close()
                return Ended(task, None, _why_dead(worker.process))

    def close(self) -> None:
        """Kill busy workers; the others end when their connection does."""
        for worker in self._workers:
            worker.connection.close()
            if worker.task is not None:
                worker.process.kill()
        for worker in self._workers:
            try:
                worker.process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        self._workers.clear()

    def _assign(self) -> None:
        while self._waiting:
            worker = next((each for each in self._workers if each.task is None), None)
            if worker is None:
                if len(self._workers) == self._count:
                    return
                worker = self._start()
            task, attempt = self._waiting.popleft()
            worker.task = task
            try:
                worker.connection.send((task, self._output, self._resources, attempt))
            except OSError:  # it died while it was idle: `next_ended` finds the closed connection
                return

    def _start(self) -> _Worker:
        ours, theirs = socket.socketpair()
        # Its search path is ours: that of `python -m` begins with the current folder, which may hold a checkout.
        code = f"import sys; sys.path[:] = {sys.path!r}; from {main.__module__} import main; main({theirs.fileno()})"
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ | {"OMP_NUM_THREADS": str(self._resources.cpus)},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process, which then ends its workers
        )
        theirs.close()
        worker = _Worker(process, Connection(ours.detach()))
        self._workers.append(worker)
        return worker


def _why_dead(process: subprocess.Popen[bytes]) -> str:
    try:
        status = process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return "its worker closed the connection"
    if status == -signal.SIGKILL:
        return "its worker was killed (SIGKILL), as the system does when the memory is full"
    if status < 0:
        return f"its worker was ended by {signal.Signals(-status).name}"
    return f"its worker exited with status {status}"
