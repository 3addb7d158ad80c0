"""Temporary folders that do not outlive their process: also those of a killed one are removed, at the next run."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = ".lock"


@contextmanager
def workspace(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder below `parent` whose name begins with `prefix`; it is deleted when the block ends.

    SIGTERM ends the block of a command (`perception_common.cli.run`), and kills another process. Folders of the same
    prefix whose process is dead are deleted first. Raises OSError when the folder cannot be made.
    """
    remove_abandoned(parent, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        with (folder / f"{LOCK}.new").open("w") as lock:
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


def _is_abandoned(folder: Path) -> bool:
    try:
        with (folder / LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held by a living process, not one of ours, or on a file system without locks
        return False
    return True
