"""The trajectories of a flight as TUM text files, written during the flight; no file is ever overwritten."""

from __future__ import annotations

import contextlib
import os
import re
from collections import deque
from pathlib import Path

from loftr_ros.results import TrajectoryPose
from perception_common.atomic_file import write_error
from perception_common.errors import InputError
from perception_common.geometry import quaternion_from_matrix
from perception_common.tum import tum_line

HEADING = "# T_map_camera of the keyframes: stamp tx ty tz qx qy qz qw; in metres unless a line below says otherwise\n"
_MAX_WAITING = 4 << 20  # bytes of text that may wait for room on the disk: about 40,000 poses


class TrajectoryRecorder:
    """Writes poses to flight.txt and each further trajectory to flight_2.txt, flight_3.txt, ...

    Where such files exist, the numbers continue after the largest one. `add` queues a pose and `write` brings the queue
    to disk. What cannot be written waits for the next `write`, so that a disk that is full for a while loses nothing.
    A file that is removed or replaced during the flight is left alone, and a further one begins. The first file is made
    at once; raises InputError where it cannot be written.
    """

    def __init__(self, path: Path):
        if path.exists() and not path.is_file():  # the numbers would lead to another place beside it
            raise InputError(f"trajectory_file {path} is no file: give the name of a file in an existing folder")
        self._path = path
        self._file = path
        self._descriptor: int | None = None
        self._identity: tuple[int, int] | None = None  # of the file
        self._waiting: deque[bytes | None] = deque()  # None: another file begins
        self._waiting_bytes = 0
        self._written = 0  # bytes of the first entry of the queue that are in the file
        self._lost = 0  # poses that found no room in the queue, since the last one that did
        self._begin()
        try:
            self.write()
        except InputError:
            self._remove_empty()
            raise

    @property
    def file(self) -> Path:
        """The file that is being written."""
        return self._file

    def add(self, pose: TrajectoryPose, *, starts: bool) -> None:
        """Queue a pose; `starts` tells that it is the first one of a trajectory.

        A comment precedes a step whose length is not measured, and a gap of poses that found no room in the queue.
        """
        if starts and self._poses:
            self._begin()
        self._poses += 1
        if self._waiting_bytes > _MAX_WAITING:
            self._lost += 1
            return
        q = quaternion_from_matrix(pose.T_map_camera[:3, :3])
        text = tum_line(pose.keyframe.stamp_ns, [*pose.T_map_camera[:3, 3].tolist(), *q.tolist()])
        if pose.assumed:
            text = f"# not metric: the length of the next step is assumed ({pose.assumed})\n{text}"
        if self._lost:
            text = f"# {self._lost} poses are missing here: the disk was full for too long\n{text}"
            self._lost = 0
        self._queue(text)

    def write(self) -> None:
        """Write what waits, in order. Raises InputError where that fails; the rest waits for the next call."""
        try:
            while self._waiting:
                self._write_next()
        except OSError as error:
            self._close()
            raise write_error(f"trajectory_file {self._file}", error) from error

    def close(self) -> str:
        """Write what waits and end; a file without poses is removed. Returns what is lost, in words, or ""."""
        try:
            self.write()
        except InputError as error:
            lost = self._lost + sum(text not in (None, HEADING.encode()) for text in self._waiting)
            return f"{error}: {lost} poses are lost" if lost else ""
        self._close()
        self._remove_empty()
        return ""

    def _begin(self) -> None:
        self._poses = 0
        self._waiting.append(None)
        self._queue(HEADING)

    def _queue(self, text: str) -> None:
        self._waiting.append(text.encode())
        self._waiting_bytes += len(self._waiting[-1] or b"")

    def _write_next(self) -> None:
        """Write the first entry of the queue, or a part of it; raises OSError."""
        text = self._waiting[0]
        if text is None:
            self._begin_file()
            self._waiting.popleft()
            return
        descriptor = self._reached()
        text = self._waiting[0] or b""
        self._written += os.write(descriptor, text[self._written :])
        if self._written == len(text):
            self._waiting.popleft()
            self._waiting_bytes -= len(text)
            self._written = 0

    def _begin_file(self) -> int:
        self._close()
        self._file, self._descriptor = _open_next(self._path)
        self._identity = _identity(self._file)
        return self._descriptor

    def _reached(self) -> int:
        """Return the descriptor of the file; that of a further one where its path leads to it no more."""
        is_there = self._identity is not None and _identity(self._file) == self._identity
        if is_there and self._descriptor is not None:
            return self._descriptor
        self._close()
        if is_there:  # after a failure
            self._descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND)
            return self._descriptor
        before, descriptor = self._file, self._begin_file()
        self._written = 0
        text = self._waiting[0] or b""
        if text != HEADING.encode():
            note = f"{HEADING}# continues {before}, which was removed or replaced during the flight\n".encode()
            self._waiting[0] = note + text
            self._waiting_bytes += len(note)
        return descriptor

    def _remove_empty(self) -> None:
        """Remove a file that holds nothing of a trajectory."""
        with contextlib.suppress(OSError):
            if _identity(self._file) == self._identity and self._file.stat().st_size <= len(HEADING):
                self._file.unlink()

    def _close(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of a file; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _open_next(path: Path) -> tuple[Path, int]:
    """Make the file with the number after the largest one in use; returns it with its descriptor. Raises OSError."""
    pattern = re.compile(rf"{re.escape(path.stem)}(?:_(\d+))?{re.escape(path.suffix)}")
    names = (pattern.fullmatch(name) for name in os.listdir(path.parent))
    number = max((int(name[1] or 1) for name in names if name), default=0) + 1
    while True:
        file = path if number == 1 else path.with_name(f"{path.stem}_{number}{path.suffix}")
        try:
            return file, os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:  # another node was faster
            number += 1
