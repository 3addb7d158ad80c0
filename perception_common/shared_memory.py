"""Shared memory of Fast DDS in /dev/shm: free space, and segments that killed processes left behind."""

from __future__ import annotations

import fcntl
import os
import re
import time
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


def remove_stale_segments(folder: Path = FOLDER) -> StaleSegments:
    """Remove the segments in `folder` whose owner has ended, and only those.

    A segment without a lock file, or with a lock file that is locked or younger than 5 s, is left alone.
    """
    removed, kept = [], []
    for segment in _segments(folder):
        try:
            size = segment.stat().st_size
            if _remove_if_unowned(segment):
                removed.append(size)
        except FileNotFoundError:
            continue  # its owner, or another node that starts, removed it meanwhile
        except OSError:
            kept.append(size)
    return StaleSegments(len(removed), sum(removed), len(kept), sum(kept))


def _segments(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if _SEGMENT.fullmatch(path.name))
    except OSError:
        return []


def _remove_if_unowned(segment: Path) -> bool:
    """Remove a segment and its lock file unless an owner holds the lock; says whether it did. Raises OSError."""
    lock = segment.with_name(segment.name + _LOCK_SUFFIX)
    descriptor = os.open(lock, os.O_RDONLY)
    try:
        if time.time() - os.fstat(descriptor).st_mtime < _SMALLEST_AGE:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False  # the owner lives
        segment.unlink()
        lock.unlink()
        return True
    finally:
        os.close(descriptor)
