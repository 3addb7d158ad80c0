"""Shared memory of Fast DDS in /dev/shm: free space, turns in taking it, and segments that killed processes left."""

from __future__ import annotations

import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("/dev/shm")
# Fast DDS names a segment by 16 characters and holds a flock on the file beside it while the owner lives. The kernel
# releases the lock when the owner ends in any way (Fast DDS: RobustExclusiveLock.hpp; `fastdds shm clean` uses it too).
_SEGMENT = re.compile(r"(fastrtps|fastdds)_[0-9a-z]{16}")  # the prefix before and from Fast DDS 3
_LOCK_SUFFIX = "_el"
# Fast DDS creates and locks the file before the segment, within milliseconds. Only older files are tried, so that no
# owner finds its lock taken; and not much older ones, since a node that dies again and again leaves 70 MB each time.
_SMALLEST_AGE = 5.0  # seconds
_LONGEST_TURN = 10.0  # seconds; starting ROS and a node takes less than one, so that its process was stopped
_POLL = 0.02  # seconds


@dataclass(frozen=True)
class StaleSegments:
    """Segments of processes that have ended. Sizes in bytes. kept: those that this user must not remove."""

    removed: int = 0
    removed_bytes: int = 0
    kept: int = 0
    kept_bytes: int = 0

    def stale_sentences(self, folder: Path = FOLDER) -> tuple[str, ...]:
        """Return one sentence for what was removed and one for what was left; empty without stale segments."""
        sentences = []
        if self.removed:
            sentences.append(
                f"removed {self.removed} shared-memory segments ({self.removed_bytes / 1e6:.1f} MB) that killed "
                f"processes left in {folder}"
            )
        if self.kept:
            sentences.append(
                f"{self.kept} shared-memory segments ({self.kept_bytes / 1e6:.1f} MB) of killed processes of another "
                f"user are left in {folder}: run `fastdds shm clean` as that user"
            )
        return tuple(sentences)


def free_bytes(folder: Path = FOLDER) -> int:
    """Return the free bytes of a file system; 0 where the folder does not exist."""
    try:
        usage = os.statvfs(folder)
    except OSError:
        return 0
    return usage.f_bavail * usage.f_frsize


@contextmanager
def turn(folder: Path = FOLDER) -> Iterator[None]:
    """Let one process at a time look at the free memory and then take it, of those that call this.

    The lock is one of the folder itself, so that no file stays. A turn of more than 10 s is not waited for.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        descriptor = None  # there is no shared memory to take
    try:
        end = time.monotonic() + _LONGEST_TURN
        while descriptor is not None and not _lock(descriptor) and time.monotonic() < end:
            time.sleep(_POLL)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def remove_stale_segments(folder: Path = FOLDER) -> StaleSegments:
    """Remove the segments in `folder` whose owner has ended, and only those.

    A segment is left alone without a lock file that this user can read, or with one that is locked or younger than 5 s,
    and so is whatever is no ordinary file.
    """
    removed, kept = [], []
    for segment in _segments(folder):
        try:
            found = segment.lstat()
            if stat.S_ISREG(found.st_mode) and _remove_if_unowned(segment):
                removed.append(found.st_size)
        except PermissionError:
            kept.append(found.st_size)
        except OSError:
            continue  # its owner, or another node that starts, removed it meanwhile
    return StaleSegments(len(removed), sum(removed), len(kept), sum(kept))


def _segments(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if _SEGMENT.fullmatch(path.name))
    except OSError:
        return []


def _remove_if_unowned(segment: Path) -> bool:
    """Remove a segment and its lock file unless an owner holds the lock; says whether it did.

    Raises PermissionError where the owner has ended and this user may not remove them.
    """
    lock = segment.with_name(segment.name + _LOCK_SUFFIX)
    try:  # anybody may put a FIFO or a link there: opening it must not block, nor lead elsewhere
        descriptor = os.open(lock, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return False  # nothing tells this user whether there is an owner
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or time.time() - found.st_mtime < _SMALLEST_AGE or not _lock(descriptor):
            return False
        segment.unlink()
        lock.unlink()
        return True
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Take the lock of an open file or folder until it is closed; says whether nobody else holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
