"""Processes beside a benchmark: they compute during its task only, and end with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from replay_ros.benchmarks.busy_loops import busy_loops

pytestmark = pytest.mark.slow


def ticks(loops):
    """Processor time that each loop has used, clock ticks."""
    fields = (Path(f"/proc/{each.pid}/stat").read_text().rsplit(")", 1)[1].split() for each in loops.processes)
    return [int(values[11]) + int(values[12]) for values in fields]


def wait_for_ticks(loops, more):
    """Wait until every loop has used so many more ticks."""
    start = ticks(loops)
    while min(now - before for now, before in zip(ticks(loops), start, strict=True)) < more:
        time.sleep(0.01)


def test_loops_compute_during_their_task_and_end_with_their_user():
    with busy_loops(2) as loops:
        assert not loops.go.exists()
        loops.beside(lambda: wait_for_ticks(loops, 30))()
        assert not loops.go.exists()
        processes = loops.processes
    assert [process.returncode for process in processes] == [-signal.SIGKILL] * 2


def test_loops_wait_after_a_task_that_fails():
    with busy_loops(1) as loops:
        with pytest.raises(ZeroDivisionError):
            loops.beside(lambda: 1 / 0)()
        assert not loops.go.exists()


def test_a_loop_ends_with_its_parent():
    script = (
        "import os\n"
        "from replay_ros.benchmarks.busy_loops import busy_loops\n"
        "with busy_loops(1) as loops:\n"
        "    print(loops.processes[0].pid, flush=True)\n"
        "    os._exit(1)"
    )
    child = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    state = Path(f"/proc/{int(child.stdout)}/stat")
    while state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] != "Z":
        os.sched_yield()
