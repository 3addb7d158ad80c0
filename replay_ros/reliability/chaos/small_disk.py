"""A disk of some hundred kilobytes that can be filled and made read-only; it needs the right to mount."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SIZE = 512 * 1024  # bytes
_FILLER = "filler"


@dataclass(frozen=True)
class SmallDisk:
    """A mounted disk."""

    folder: Path

    def fill(self) -> None:
        """Leave no space."""
        with (self.folder / _FILLER).open("wb", buffering=0) as file:
            for block in (4096, 1):
                try:
                    while True:
                        file.write(b"x" * block)
                except OSError:
                    continue

    def free(self) -> None:
        """Give the space back."""
        (self.folder / _FILLER).unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Cover the disk with a read-only one in the block: open files go on, others cannot be created."""
        _run("mount", "-t", "tmpfs", "-o", "ro,size=4k", "tmpfs", str(self.folder))
        try:
            yield
        finally:
            _run("umount", "--lazy", str(self.folder))


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk | None]:
    """Mount a small disk at the folder for the block; None where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder))
    except (OSError, subprocess.CalledProcessError):
        yield None
        return
    try:
        yield SmallDisk(folder)
    finally:
        _run("umount", "--lazy", str(folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
