"""Images of keyframes whose features had to go, so that they can be encoded and matched again."""

from __future__ import annotations

import fcntl
import shutil
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import cv2
import numpy as np

from loftr_ros.results import KeyframeInfo
from loftr_ros.sensors.suite import FrameReadings
from loftr_ros.trajectory.chain import MAX_POSES
from perception_common.errors import InputError

_PREFIX, _LOCK = "keyframes_", ".lock"  # of the folder of an archive, and the file in it that its process has locked
_FASTEST = (cv2.IMWRITE_PNG_COMPRESSION, 1)


@dataclass(frozen=True, eq=False)
class UnencodedKeyframe:
    """A keyframe without features. image: (H, W) uint8. readings: of the sensors, without the depth image."""

    info: KeyframeInfo
    image: np.ndarray
    readings: FrameReadings


@dataclass(frozen=True, eq=False)
class _Entry:
    info: KeyframeInfo
    readings: FrameReadings
    png: bytes | Path

    @property
    def nbytes(self) -> int:
        return len(self.png) if isinstance(self.png, bytes) else 0


class ImageArchive:
    """Keyframes with their images as PNG, in memory within `limit_bytes`, or as files in a folder.

    The oldest ones are dropped first, in any case above MAX_POSES. The files lie in a new folder inside the given one,
    which goes with this object; that of a process that was killed goes when the next archive is made. Raises InputError
    for a folder that cannot be written to.
    """

    def __init__(self, limit_bytes: int, folder: str = ""):
        self.limit_bytes = limit_bytes
        self._unwritten = self._unread = ""
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        self._folder: TemporaryDirectory[str] | None = None
        if folder:
            path = Path(folder).expanduser()
            try:
                path.mkdir(parents=True, exist_ok=True)
                _remove_abandoned(path)
                self._folder = TemporaryDirectory(prefix=_PREFIX, dir=path, ignore_cleanup_errors=True)
                self._lock = _locked(Path(self._folder.name) / _LOCK)
            except OSError as error:
                raise InputError(
                    f"loop_store: cannot write to {path}: {error.strerror}; choose another folder"
                ) from error

    def __contains__(self, keyframe_id: object) -> bool:
        """Tell whether a keyframe is in the archive."""
        return keyframe_id in self._entries

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the keyframes, in the order in which they were added."""
        return tuple(self._entries)

    @property
    def problem(self) -> str:
        """One line about the newest image, if it could not be written, or about an image that was lost; else empty."""
        return self._unwritten or self._unread

    @property
    def nbytes(self) -> int:
        """Bytes of the images in memory."""
        return sum(entry.nbytes for entry in self._entries.values())

    def add(self, info: KeyframeInfo, image: np.ndarray, readings: FrameReadings) -> None:
        """Add a keyframe with its image (H, W) uint8; a failure to write it is a `problem`, and drops it."""
        if self.limit_bytes == 0 and self._folder is None:
            return
        encoded, png = cv2.imencode(".png", image, _FASTEST)
        assert encoded
        data = png.tobytes()
        kept: bytes | Path = data
        if self._folder is not None:
            path = Path(self._folder.name) / f"{info.id:08d}.png"
            try:
                path.write_bytes(data)
            except OSError as error:
                self._unwritten = f"loop_store: cannot write {path}: {error.strerror}; old keyframes are lost to loops"
                return
            self._unwritten = ""
            kept = path
        self._entries[info.id] = _Entry(info, replace(readings, depth=None), kept)
        while len(self._entries) > MAX_POSES or self.nbytes > self.limit_bytes:
            self._drop(next(iter(self._entries)))

    def get(self, keyframe_id: int) -> UnencodedKeyframe | None:
        """Return a keyframe; None for one that is not there, or whose file is gone."""
        entry = self._entries.get(keyframe_id)
        if entry is None:
            return None
        try:
            data = entry.png if isinstance(entry.png, bytes) else entry.png.read_bytes()
        except OSError as error:
            self._unread = f"loop_store: cannot read {entry.png!s}: {error.strerror}"
            del self._entries[keyframe_id]
            return None
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
        if image is None:
            self._unread = f"loop_store: cannot read {entry.png!s}: damaged"
            del self._entries[keyframe_id]
            return None
        return UnencodedKeyframe(entry.info, image, entry.readings)

    def clear(self) -> None:
        """Drop all keyframes."""
        self._unwritten = self._unread = ""
        for keyframe_id in self.ids:
            self._drop(keyframe_id)

    def _drop(self, keyframe_id: int) -> None:
        png = self._entries.pop(keyframe_id).png
        if isinstance(png, Path):
            png.unlink(missing_ok=True)


def _locked(path: Path) -> IO[str]:
    """Make a file that is locked while it is open: the kernel unlocks it when the process ends, however it ends."""
    new = path.with_suffix(".new")
    file = new.open("w")
    with suppress(OSError):  # a file system without locks
        fcntl.flock(file, fcntl.LOCK_EX)
    new.rename(path)  # no other process sees it unlocked
    return file


def _remove_abandoned(parent: Path) -> None:
    """Delete the folders of archives whose process is dead."""
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            with (folder / _LOCK).open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # held by a living process, or not one of ours
            continue
        shutil.rmtree(folder, ignore_errors=True)
