"""Temporary folders that do not outlive their process: also those of a killed one are removed, at the next run."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

LOCK = ".lock"


@contextmanager
def workspace(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder below `parent` whose name begins with `prefix`; it is deleted when the block ends.

    In the main thread, SIGTERM ends the block with SystemExit. Folders of the same prefix whose process is dead are
    deleted first. Raises OSError when the folder cannot be made.
    """
    remove_abandoned(parent, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        with (folder / f"{LOCK}.new").open("w") as lock, _exit_on_sigterm():
            fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel releases it when the process ends, however it ends
            (folder / f"{LOCK}.new").rename(folder / LOCK)  # no other process sees it unlocked
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(parent: Path, prefix: str) -> None:
    """Delete the folders of `workspace` below `parent` that no living process holds."""
    with suppress(OSError):
        for name in os.listdir(parent):
            if name.startswith(prefix) and _is_abandoned(parent / name):
                shutil.rmtree(parent / name, ignore_errors=True)


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    is_handled = callable(signal.getsignal(signal.SIGTERM))  # by a command that ends the block itself
    if is_handled or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        # None: it was installed by a library of C, such as rclpy, and cannot be put back.
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)  # as the shell reports it


def _is_abandoned(folder: Path) -> bool:
    try:
        with (folder / LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held by a living process, not one of ours, or on a file system without locks
        return False
    return True
