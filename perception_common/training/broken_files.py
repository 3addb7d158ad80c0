"""Broken images and annotations in a data set: each is named once, counted, and skipped."""

from __future__ import annotations

import logging
import threading
from pathlib import Path


class BrokenFiles:
    """The files that could not be used. Loader threads may add at the same time."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self._lock = threading.Lock()

    def add(self, path: Path | str, reason: str) -> None:
        """Note a file; the first time it is logged."""
        with self._lock:
            is_new = str(path) not in self._reasons
            self._reasons.setdefault(str(path), reason)
        if is_new:
            logging.getLogger(__name__).warning("%s is skipped: %s (%d broken so far)", path, reason, self.count)

    @property
    def count(self) -> int:
        """How many different files were skipped."""
        return len(self._reasons)

    @property
    def reasons(self) -> dict[str, str]:
        """Path to reason."""
        return dict(self._reasons)
