"""Writing files so that readers never see half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a hidden path in the folder of `path` to write to; it is renamed to `path` when the block succeeds.

    When the block fails, the hidden file is removed and an existing `path` stays unchanged. Not for concurrent writers.
    """
    unfinished = path.with_name(f".unfinished_{path.name}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
