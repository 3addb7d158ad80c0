"""What is wrong at the moment: said once in the log, and standing in the diagnostics for as long as it lasts."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Problems:
    """Problems by key; thread-safe. `log` gets one line when a problem begins, not while it lasts."""

    def __init__(self, log: Callable[[str], None]):
        self._log = log
        self._lock = threading.Lock()
        self._active: dict[str, str] = {}

    def report(self, key: str, text: str) -> None:
        """The problem `key` is there; `text` says in one line what to do about it."""
        with self._lock:
            is_new = key not in self._active
            self._active[key] = text
        if is_new:
            self._log(text)

    def resolve(self, key: str) -> None:
        """The problem `key` is over (or never was)."""
        with self._lock:
            self._active.pop(key, None)

    def active(self) -> tuple[str, ...]:
        """What is wrong now, oldest first."""
        with self._lock:
            return tuple(self._active.values())
