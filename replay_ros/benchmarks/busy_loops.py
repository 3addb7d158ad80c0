"""Processes that do nothing but take processor time, as other nodes on a drone's computer do."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# A loop computes while a file exists, and ends when its parent is gone, however that ended.
_LOOP = """
import os, sys, time
while os.getppid() == int(sys.argv[2]):
    if os.path.exists(sys.argv[1]):
        sum(range(10000))
    else:
        time.sleep(1e-3)
"""


class BusyLoops:
    """Loops that wait while nobody needs them; see `busy_loops`. go: the file that lets them compute."""

    def __init__(self, processes: list[subprocess.Popen[bytes]], go: Path) -> None:
        self.processes = processes
        self.go = go

    def beside(self, task: Callable[[], object]) -> Callable[[], None]:
        """Return a task during which the loops compute."""

        def run() -> None:
            self.go.touch()
            try:
                task()
            finally:
                self.go.unlink()

        return run


@contextmanager
def busy_loops(count: int) -> Iterator[BusyLoops]:
    """Start `count` loops, which wait, and end them afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        go = Path(folder) / "go"
        processes = [subprocess.Popen([sys.executable, "-c", _LOOP, str(go), str(os.getpid())]) for _ in range(count)]
        try:
            yield BusyLoops(processes, go)
        finally:
            for process in processes:
                process.kill()
                process.wait()
