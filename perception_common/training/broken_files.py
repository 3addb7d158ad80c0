"""Broken images and annotations of a data set: each is logged once, counted and skipped."""

from __future__ import annotations

import logging
import threading
from pathlib import Path


class BrokenFiles:
    """The files that were skipped. Thread-safe: loader threads add to it."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self._lock = threading.Lock()

    def add(self, path: Path | str, reason: str) -> None:
        """Add a file; it is logged the first time. reason: may begin with the path."""
        reason = reason.removeprefix(f"{path}: ")
        with self._lock:
            is_new = str(path) not in self._reasons
            self._reasons.setdefault(str(path), reason)
        if is_new:
            logging.getLogger(__name__).warning("%s is skipped: %s (%d broken so far)", path, reason, self.count)

    @property
    def count(self) -> int:
        """Number of different files that were skipped."""
        return len(self._reasons)

    @property
    def reasons(self) -> dict[str, str]:
        """Reason of each path."""
        return dict(self._reasons)
