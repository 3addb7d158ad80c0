"""Starts our own executables as processes and stops them as a user would, with SIGINT."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from perception_common.errors import InputError
from perception_common.resources import find_share

HASTE_S = 0.7  # to end after Ctrl-C; `ros2 launch` kills us after five seconds, and the answers must be written before


def find_executable(name: str) -> Path:
    """Return the installed executable `name`. Raises InputError when the ROS package is not built."""
    path = find_share().parents[1] / "lib" / "yolc_ros" / name
    if not path.is_file():
        raise InputError(f"the executable {name} is not installed: run `make`, then `source setup.bash`")
    return path


@contextmanager
def running(name: str, arguments: Sequence[str], log: IO[bytes] | int | None = None) -> Iterator[subprocess.Popen]:
    """Run an executable of ours while the block lasts; `log` takes what it prints (None: our own output)."""
    process = subprocess.Popen(
        [sys.executable, str(find_executable(name)), *arguments],
        stdout=log,
        stderr=subprocess.STDOUT if log is not None else None,
        start_new_session=True,  # Ctrl-C reaches only us; we then stop the process in order
        preexec_fn=hear_sigint,
    )
    try:
        yield process
    except (KeyboardInterrupt, SystemExit):
        stop(process, HASTE_S)
        raise
    finally:
        stop(process)


def hear_sigint() -> None:
    """Restore SIGINT in a child before it starts: a parent such as nohup may ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def stop(process: subprocess.Popen, timeout: float = 30.0) -> int:
    """Stop a process with SIGINT, or kill it after `timeout` seconds; returns its exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()
